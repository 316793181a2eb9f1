"""What an image input looks like to the network: layout of its axes and scale of its pixels."""

from dataclasses import dataclass

import numpy as np

from sim_compress.errors import DataError
from sim_compress.model import Shape
from sim_compress.model.maps import Array

CHANNELS = (1, 3)
# The largest pixel of 8 and of 16 bits.
BYTE, WORD = 255, 65535
# Pixels in 0..255 have more, and nobody divides parts of 1 by so much.
LARGE_STD = 10


@dataclass(frozen=True)
class Layout:
    """Axes of one sample: channels first (C, H, W) or last (H, W, C)."""

    channels: int
    height: int
    width: int
    channels_last: bool

    def arrange(self, images: Array) -> Array:
        """(samples, H, W, C) as the network wants it."""
        return images if self.channels_last else np.moveaxis(images, -1, 1)


def layout(shape: Shape) -> Layout | None:
    """Layout of a per-sample shape, told by where 1 or 3 channels stand; None where they stand nowhere."""
    if len(shape) == 3 and shape[0] in CHANNELS:
        return Layout(*shape, channels_last=False)
    if len(shape) == 3 and shape[2] in CHANNELS:
        return Layout(shape[2], shape[0], shape[1], channels_last=True)
    return None


@dataclass(frozen=True)
class Scaling:
    """(pixel / largest - mean) / std, with one value or one for each channel.

    The largest pixel is 255, with 16 bits 65535. A mean above 1, or a std above 10, cannot be of pixels /
    largest: then both are of pixels, as (pixel - mean) / std.

    Raises:
        DataError: a std is not positive, or the mean is of pixels and the std of their parts, or the reverse.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if 0 in self.std:
            raise DataError("--std holds a zero: pixels are divided by it")
        if min(self.std) < 0:
            raise DataError(f"--std holds {min(self.std):g}: a standard deviation is above 0")
        if min(self.mean) < -1:
            raise DataError(f"--mean holds {min(self.mean):g}: no mean of pixels is below 0")
        large = {"--mean": max(self.mean) > 1, "--std": max(self.std) > LARGE_STD}
        parts = {
            "--mean": any(0 < abs(value) <= 1 for value in self.mean),
            "--std": any(value < 1 for value in self.std),
        }
        if any(large.values()) and any(parts.values()):
            pixels, of_one = (next(o for o, there in which.items() if there) for which in (large, parts))
            raise DataError(
                f"{pixels} {_numbers(self._values(pixels))} is for pixels in 0..{BYTE} and {of_one} "
                f"{_numbers(self._values(of_one))} for pixels / {BYTE}: give both for one of them"
            )

    @property
    def of_pixels(self) -> bool:
        """Whether mean and std are of pixels as they are, not of parts of the largest."""
        return max(self.mean) > 1 or max(self.std) > LARGE_STD

    @property
    def note(self) -> str | None:
        """What was made of the numbers, where that was a choice."""
        if not self.of_pixels:
            return None
        return (
            f"--mean and --std are taken as written for pixels as they are, {self}: for pixels / {BYTE} they "
            "would be at most 1"
        )

    def apply(self, images: Array, largest: int = BYTE) -> Array:
        """Scaled pixels in float32.

        Args:
            images: pixels in 0..largest, (samples, H, W, C).
            largest: 255, or 65535 for 16 bits.

        Raises:
            DataError: neither one value nor one for each channel was given, or the values are of pixels of
                another depth.
        """
        for option in ("--mean", "--std"):
            if len(values := self._values(option)) not in (1, images.shape[-1]):
                raise DataError(
                    f"{option} holds {len(values)} values for {images.shape[-1]} channels: "
                    "give one, or one for each channel"
                )
        self._check_depth(largest)
        unit = 1 if self.of_pixels else largest
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return (images.astype(np.float32) / unit - mean) / std

    def _check_depth(self, largest: int) -> None:
        """DataError where numbers of pixels were written for pixels of another depth."""
        if not self.of_pixels:
            return
        most = max(*self.mean, *self.std)
        if most > largest:
            raise DataError(f"--mean or --std holds {most:g}, and pixels reach from 0 to {largest}")
        if largest > BYTE and most <= BYTE:
            raise DataError(
                f"--mean and --std up to {most:g} look written for pixels in 0..{BYTE}, and those here are "
                f"in 0..{largest}: give them for pixels / {largest}, at most 1"
            )

    def _values(self, option: str) -> tuple[float, ...]:
        return self.mean if option == "--mean" else self.std

    def words(self, largest: int = BYTE) -> str:
        """The formula."""
        pixel = "pixel" if self.of_pixels else f"pixel / {largest}"
        return f"({pixel} - {_numbers(self.mean)}) / {_numbers(self.std)}"

    def __str__(self) -> str:
        return self.words()


def pixel_words(scaling: Scaling | None, largest: int = BYTE) -> str:
    """What becomes of pixels."""
    return f"pixels 0..{largest}" if scaling is None else f"pixels as {scaling.words(largest)}"


def _numbers(values: tuple[float, ...]) -> str:
    texts = [f"{value:g}" for value in values]
    return texts[0] if len(texts) == 1 else f"[{' '.join(texts)}]"


def scaling_asked(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Scaling | None:
    """The scaling of --mean and --std; None where neither is given."""
    if mean is None and std is None:
        return None
    return Scaling(mean or (0.0,), std or (1.0,))
