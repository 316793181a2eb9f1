"""The most memory that one tensor of a network may ask for."""

from collections.abc import Sequence
from math import prod

from sim_compress.model import LinearMap, Shape

# Bytes of one tensor for one sample: a 1080p image has 25 MB, 32 channels of it 265 MB.
LARGEST = 2**28
# Bytes of one tensor for a batch that the file fixes.
LARGEST_BATCH = 2**31
# Bytes of float32 that a map may spread one sample's tensor over on the way to the next, as pooling windows.
LARGEST_SPREAD = 2**31
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def in_units(size: float) -> str:
    """A number of bytes as it is read."""
    power = 0
    while size >= 1024 and power < len(UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.4g} {UNITS[power]}"


def spread_shape(maps: Sequence[LinearMap], shape: Shape) -> Shape:
    """Shape behind a chain of maps.

    Raises:
        ValueError: a map does not fit, or spreads the tensor over more than `LARGEST_SPREAD`.
    """
    for step in maps:
        shape = step.out_shape(shape)
        if 4 * prod(shape) > LARGEST_SPREAD:
            raise ValueError(
                f"spreads a sample over {shape}, {in_units(4 * prod(shape))} of float32, more than "
                f"{in_units(LARGEST_SPREAD)}"
            )
    return shape
