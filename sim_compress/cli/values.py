"""Values of options: text to number, with the reason where it is refused."""

import math
from collections.abc import Sequence

from sim_compress.errors import InputError


def sparsity(text: str) -> float:
    """40, 40% and 0.4 are forty percent: above 1 a number is a percentage, below 1 a fraction.

    Raises:
        InputError: the number does not say which part of the parameters goes, or none or all of them do.
    """
    digits = text.strip()
    explicit = digits.endswith("%")
    value = _number(digits.removesuffix("%"), text)
    if value == 1 and not explicit:
        raise _refused(text, "is 1 % or 100 %: write 1% for one percent; 100 % would leave nothing")
    fraction = value / 100 if explicit or value > 1 else value
    if fraction < 0:
        raise _refused(text, "is negative: ask for a part between 0 and 100 %")
    if fraction == 0:
        raise _refused(text, "removes nothing: ask for more than 0 %")
    if fraction >= 1:
        raise _refused(text, "leaves nothing: ask for less than 100 %")
    return fraction


def target(text: str) -> tuple[str | None, float]:
    """PATTERN=PART or PART: the pattern, None where there is none, and the part as `sparsity` reads it.

    Raises:
        InputError: as `sparsity`.
    """
    pattern, equals, part = text.rpartition("=")
    return (pattern if equals else None), sparsity(part)


def targets_of(given: Sequence[tuple[str | None, float]]) -> tuple[float, dict[str, float]]:
    """The target of all blocks, and those of patterns in the order given.

    Raises:
        InputError: there is not exactly one for all blocks.
    """
    general = [part for pattern, part in given if pattern is None]
    if len(general) != 1:
        raise InputError(
            f"--target-sparsity: expected one PART for all blocks without a pattern, got {len(general)}: "
            "write  --target-sparsity 40 --target-sparsity 'layer1.*=30'"
        )
    return general[0], {pattern: part for pattern, part in given if pattern is not None}


def _number(digits: str, text: str) -> float:
    try:
        value = float(digits)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _refused(text, "is not a number: write 40, 40% or 0.4")
    return value


def _refused(text: str, reason: str) -> InputError:
    return InputError(f"--target-sparsity {text} {reason}")


def channel_values(text: str) -> tuple[float, ...]:
    """A list of finite numbers with commas between; ValueError where it is none."""
    values = tuple(float(part) for part in text.split(","))
    if not all(map(math.isfinite, values)):
        raise ValueError(text)
    return values


def seed(text: str) -> int:
    """A whole number from 0; ValueError where it is none."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """NAME=1x3x224x224, or the sizes alone for the only input: the name, "" where there is none, and sizes.

    Raises:
        InputError: a size is no whole number from 1.
    """
    name, _, sizes = text.rpartition("=")
    try:
        return name, tuple(positive(size) for size in sizes.split("x"))
    except ValueError as error:
        raise InputError(
            f"--input-shape {text}: expected sizes as 1x3x224x224, or NAME=1x3x224x224"
        ) from error


def positive(text: str) -> int:
    """A whole number from 1; ValueError where it is none."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value
