"""Made-up inputs for a network that comes without data: smooth random images, or normal numbers.

The amplitude spectrum of a photograph falls as 1 / frequency; each image draws its own exponent around it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np

from sim_compress.cli.data.likeness import Oddness
from sim_compress.cli.data.pixels import Layout, Scaling, layout, pixel_words
from sim_compress.model import Input
from sim_compress.model.maps import Array

SAMPLES = 512
# Enough to see which pixel range is a network's: a number of inputs within bounds, by their size.
PROBES = (4, 64)
PROBE_ENTRIES = 2**19
EXPONENTS = (1.0, 3.0)
# As they are, in 0..1, in -1..1, and with about zero mean and unit variance.
RANGES = (None, Scaling(), Scaling((0.5,), (0.5,)), Scaling((0.45,), (0.225,)))


@dataclass(frozen=True, eq=False)
class MadeUp:
    """Inputs that nobody gave.

    Attributes:
        inputs: name -> (samples, ...).
        title: what they are.
        guess: the pixel range that was taken, None where it was given or there are no images.
        images: whether there are any.
    """

    inputs: dict[str, Array]
    title: str
    guess: str | None = None
    images: bool = False


def made_up_inputs(
    expected: Sequence[Input],
    seed: int,
    scaling: Scaling | None,
    oddness: Oddness,
    limits: Mapping[str, Array] = MappingProxyType({}),
) -> MadeUp:
    """SAMPLES inputs; real numbers in float32.

    Image inputs take pixels scaled as asked, else in the range that is least odd to the network. Inputs with
    `limits` (*shape) hold ids below these, other whole numbers are 0 and 1.
    """
    rng = np.random.default_rng(seed)
    forms = {i.name: form for i in expected if i.name not in limits and (form := _form(i)) is not None}
    images = {name: np.stack([_image(form, rng) for _ in range(SAMPLES)]) for name, form in forms.items()}
    others = {
        i.name: rng.standard_normal((SAMPLES, *i.shape)).astype(np.float32)
        if _is_real(i) and i.name not in limits
        else rng.integers(0, _below(limits.get(i.name)), (SAMPLES, *i.shape)).astype(i.dtype)
        for i in expected
        if i.name not in forms
    }
    if not images:
        real = any(_is_real(i) and i.name not in limits for i in expected)
        return MadeUp(others, "normal random numbers" if real else "random whole numbers")

    def inputs(count: int, scaling: Scaling | None) -> dict[str, Array]:
        shown = {name: forms[name].arrange(_scaled(u[:count], scaling)) for name, u in images.items()}
        return {name: u[:count] for name, u in others.items()} | shown

    taken = scaling
    if scaling is None:
        few = _probes(expected)
        taken = min(RANGES, key=lambda candidate: oddness(inputs(few, candidate)))
    pixels = pixel_words(taken)
    guess = pixels if scaling is None else None
    return MadeUp(inputs(SAMPLES, taken), f"smooth random images, {pixels}", guess, images=True)


def _below(limits: Array | None) -> Array | int:
    """The limits as one number where they are that."""
    if limits is None:
        return 2
    return int(limits.flat[0]) if (limits == limits.flat[0]).all() else limits


def _probes(expected: Sequence[Input]) -> int:
    least, most = PROBES
    return min(max(PROBE_ENTRIES // sum(prod(i.shape) for i in expected), least), most)


def _is_real(expected: Input) -> bool:
    return np.dtype(expected.dtype).kind == "f"


def _form(expected: Input) -> Layout | None:
    """Layout of an input that may be an image: three axes, and something to be smooth along."""
    if len(expected.shape) != 3 or not _is_real(expected):
        return None
    form = layout(expected.shape) or Layout(*expected.shape, channels_last=False)
    return form if min(form.height, form.width) > 1 else None


def _image(form: Layout, rng: np.random.Generator) -> Array:
    """Pixels in 0..255, (H, W, C): noise with a falling spectrum, channels more or less alike."""
    size = (form.height, form.width)
    noise = rng.standard_normal((1, *size)) + rng.uniform() * rng.standard_normal((form.channels, *size))
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])
    falling = (frequency + 1 / max(size)) ** -rng.uniform(*EXPONENTS)
    smooth = np.fft.irfft2(np.fft.rfft2(noise) * falling, s=size)
    spread = np.ptp(smooth)
    dark, light = rng.uniform(0, 127), rng.uniform(128, 255)
    pixels = dark + (light - dark) * (smooth - smooth.min()) / spread
    return np.moveaxis(pixels, 0, -1).astype(np.float32)


def _scaled(images: Array, scaling: Scaling | None) -> Array:
    return images if scaling is None else scaling.apply(images)
