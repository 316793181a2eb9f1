"""What an image input looks like to the network: layout of its axes and scale of its pixels."""

from dataclasses import dataclass

import numpy as np

from sim_compress.errors import DataError
from sim_compress.model import Shape
from sim_compress.model.maps import Array

CHANNELS = (1, 3)
PIXELS = "pixels 0..255"


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
    """(pixel / 255 - mean) / std, with one value or one for each channel.

    Raises:
        DataError: a std is zero.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if 0 in self.std:
            raise DataError("--std holds a zero: pixels are divided by it")

    def apply(self, images: Array) -> Array:
        """Scaled pixels in float32.

        Args:
            images: pixels in 0..255, (samples, H, W, C).

        Raises:
            DataError: neither one value nor one for each channel was given.
        """
        for option, values in (("--mean", self.mean), ("--std", self.std)):
            if len(values) not in (1, images.shape[-1]):
                raise DataError(
                    f"{option} holds {len(values)} values for {images.shape[-1]} channels: "
                    "give one, or one for each channel"
                )
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return (images.astype(np.float32) / 255 - mean) / std

    def __str__(self) -> str:
        return f"(pixel / 255 - {_numbers(self.mean)}) / {_numbers(self.std)}"


def _numbers(values: tuple[float, ...]) -> str:
    texts = [f"{value:g}" for value in values]
    return texts[0] if len(texts) == 1 else f"[{' '.join(texts)}]"


def scaling_asked(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Scaling | None:
    """The scaling of --mean and --std; None where neither is given."""
    if mean is None and std is None:
        return None
    return Scaling(mean or (0.0,), std or (1.0,))
