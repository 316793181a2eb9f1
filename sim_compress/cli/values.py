"""Values of options: text to number, with the reason where it is refused."""

import math
from collections.abc import Callable, Sequence

from sim_compress.errors import InputError

# More levels than this are a slip of the step.
MOST_LEVELS = 200
# Levels are whole multiples of decimal steps: what floats add beyond these digits is rounding.
LEVEL_DIGITS = 12
STEP_ROUNDING = 1e-9
# The library's own list, which importing would make --help slow; a test compares them.
ENGINES = ("threads", "processes", "ray")
RAY = "ray://"
# From the reason to the error that names the option and its value.
Refused = Callable[[str], InputError]


def sparsity(text: str) -> float:
    """40, 40% and 0.4 are forty percent: above 1 a number is a percentage, below 1 a fraction.

    Raises:
        InputError: the number does not say which part of the parameters goes, or none or all of them do.
    """
    return _sparsity(text, lambda reason: InputError(f"--target-sparsity {text} {reason}"))


def _sparsity(text: str, refused: Refused) -> float:
    digits = text.strip()
    explicit = digits.endswith("%")
    value = _number(digits.removesuffix("%"), refused)
    if value == 1 and not explicit:
        raise refused("is 1 % or 100 %: write 1% for one percent; 100 % would leave nothing")
    fraction = value / 100 if explicit or value > 1 else value
    if fraction < 0:
        raise refused("is negative: ask for a part between 0 and 100 %")
    if fraction == 0:
        raise refused("removes nothing: ask for more than 0 %")
    if fraction >= 1:
        raise refused("leaves nothing: ask for less than 100 %")
    return fraction


def target(text: str) -> tuple[str | None, float]:
    """PATTERN=PART or PART: the pattern, None where there is none, and the part as `sparsity` reads it.

    Raises:
        InputError: as `sparsity`.
    """
    pattern, equals, part = text.rpartition("=")
    return (pattern if equals else None), sparsity(part)


def targets_of(given: Sequence[tuple[str | None, float]]) -> tuple[float | None, dict[str, float]]:
    """The target of all blocks, None where there is none, and those of patterns in the order given.

    Raises:
        InputError: there is more than one for all blocks.
    """
    general = [part for pattern, part in given if pattern is None]
    if len(general) > 1:
        raise InputError(
            f"--target-sparsity: expected one PART for all blocks without a pattern, got {len(general)}: "
            "write  --target-sparsity 40 --target-sparsity 'layer1.*=30', or --sweep for several"
        )
    return (general[0] if general else None), {
        pattern: part for pattern, part in given if pattern is not None
    }


def levels(text: str) -> tuple[float, ...]:
    """20:95:5 (from, to, step) or 20,40,60 as parts, ascending.

    Above 1 numbers are percentages, below 1 fractions; a step is in the unit of the end of its range.

    Raises:
        InputError: it is neither, a level is no sparsity or comes twice, or there are more than MOST_LEVELS.
    """
    found = _range(text) if ":" in text else [_level(part, text) for part in text.split(",")]
    if len(set(found)) < len(found):
        raise _refused_sweep(text, "has a level twice: give each once")
    return tuple(sorted(found))


def _range(text: str) -> list[float]:
    numbers = text.split(":")
    if len(numbers) != 3:
        raise _refused_sweep(text, "is no range: write FROM:TO:STEP as 20:95:5")
    explicit = any("%" in number for number in numbers)
    _level(numbers[1].strip().removesuffix("%") + "%" * explicit, text)
    first, stop, step = (_sweep_number(number.strip().removesuffix("%"), text) for number in numbers)
    unit = 100 if explicit or stop > 1 else 1
    if step <= 0:
        raise _refused_sweep(text, "does not advance: give a step above 0")
    if first > stop:
        raise _refused_sweep(text, "runs backwards: give the smaller sparsity first")
    # The end belongs to the range where rounding of the steps alone stands between them.
    count = int((stop - first) / step + STEP_ROUNDING) + 1
    if count > MOST_LEVELS:
        raise _refused_sweep(text, f"has {count:,} levels: ask for at most {MOST_LEVELS}")
    if first <= 0:
        raise _refused_sweep(text, "begins where nothing is removed: begin above 0 %")
    return [round((first + step * number) / unit, LEVEL_DIGITS) for number in range(count)]


def _level(part: str, text: str) -> float:
    """One level of a sweep, read as `sparsity` reads it."""
    return _sparsity(part, lambda reason: _refused_sweep(text, f"has a level {part.strip()!r} that {reason}"))


def _sweep_number(digits: str, text: str) -> float:
    return _number(digits, lambda reason: _refused_sweep(text, f"has a part {digits!r} that {reason}"))


def points(text: str) -> float:
    """0.5 and 0.5% are half a point: the part of the samples.

    Raises:
        InputError: it is no number from 0 to below 100.
    """

    def refused(reason: str) -> InputError:
        return InputError(f"--max-drop {text} {reason}")

    value = _number(text.strip().removesuffix("%"), refused)
    if not 0 <= value < 100:
        raise refused("is no drop: give points from 0 to below 100, as 0.5")
    return value / 100


def _number(digits: str, refused: Refused) -> float:
    try:
        value = float(digits)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise refused("is not a number: write 40, 40% or 0.4")
    return value


def _refused_sweep(text: str, reason: str) -> InputError:
    return InputError(f"--sweep {text} {reason}")


def radius(text: str) -> float:
    """How far entries of inputs move.

    Raises:
        InputError: it is no number above 0.
    """

    def refused(reason: str) -> InputError:
        return InputError(f"--robust {text} {reason}")

    value = _number(text.strip(), refused)
    if value <= 0:
        raise refused("is no distance: give a number above 0, in the units of the data")
    return value


def channel_values(text: str) -> tuple[float, ...]:
    """A list of finite numbers with commas between; ValueError where it is none."""
    values = tuple(float(part) for part in text.split(","))
    if not all(map(math.isfinite, values)):
        raise ValueError(text)
    return values


def engine_name(text: str) -> str:
    """One of ENGINES, or the address of a Ray cluster.

    Raises:
        InputError: it is neither.
    """
    if text in ENGINES or text.removeprefix(RAY) not in (text, ""):
        return text
    raise InputError(f"--engine {text}: expected {', '.join(ENGINES)} or {RAY}HOST:PORT")


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


UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
UNITS |= {f"{unit}i": 1024**power for power, unit in enumerate("KMGT", 1)}


def memory(text: str) -> int:
    """Bytes of memory: 500000000, 500M, 2G, 2GB or 2GiB.

    Raises:
        InputError: it is no number of bytes above 0.
    """
    digits = text.strip().upper().removesuffix("B").replace("I", "i")
    unit = digits.lstrip("0123456789.")
    try:
        found = int(float(digits.removesuffix(unit)) * UNITS[unit])
    except (KeyError, ValueError, OverflowError) as error:
        raise InputError(f"expected bytes as 500M or 2GiB, got {text!r}") from error
    if found <= 0:
        raise InputError(f"expected bytes above 0, got {text!r}")
    return found
