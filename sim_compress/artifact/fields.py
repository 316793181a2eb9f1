"""Strict JSON: values that know their place, so that every refusal names it."""

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from reprlib import Repr
from typing import Any, NamedTuple, NoReturn, TypeAlias

from sim_compress.errors import ArtifactError

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

MAX_DEPTH = 32
CONTAINERS = (dict, list)
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def shown(value: object) -> str:
    """A value for a message: escaped and of bounded length."""
    return _SHORT.repr(value)


class Field(NamedTuple):
    """A JSON value and where it stands, for example `blocks[2].terms[0].groups`.

    Every method raises ArtifactError where the value is not what it asks for.
    """

    value: object
    place: str

    def wrong(self, expected: str) -> ArtifactError:
        """The error to raise for this value."""
        return ArtifactError(f"{self.place}: expected {expected}, found {shown(self.value)}")

    def entries(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, "Field"]:
        """An object with all required keys and no other than the optional ones."""
        value, place = self.value, self.place
        if not isinstance(value, dict):
            raise self.wrong("an object")
        if missing := [key for key in required if key not in value]:
            found = shown(sorted(value))
            raise ArtifactError(f"{place}: expected the key {min(missing)!r}, found {found}")
        # Most objects have what is required and nothing else.
        unknown = set(value).difference(required, optional) if len(value) > len(required) else ()
        if unknown:
            raise ArtifactError(f"{place}: unknown key {shown(min(unknown))}")
        return {key: Field(entry, f"{place}.{key}") for key, entry in value.items()}

    def items(self) -> list["Field"]:
        """The elements of an array."""
        if not isinstance(self.value, list):
            raise self.wrong("an array")
        return [Field(value, f"{self.place}[{i}]") for i, value in enumerate(self.value)]

    def integer(self, low: int, high: int) -> int:
        """A whole number in low..high; true and 1.0 are none."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            raise self.wrong(f"a whole number in {low}..{high}")
        return self.value

    def integers(self, low: int, high: int) -> tuple[int, ...]:
        """An array of whole numbers in low..high."""
        # At once where all is well; item by item to say what is not.
        if isinstance(self.value, list) and _within(self.value, low, high):
            return tuple(self.value)
        return tuple(item.integer(low, high) for item in self.items())

    def real(self) -> float:
        """A number that fits a float."""
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self.wrong("a number")
        try:
            return float(self.value)
        except OverflowError as error:
            raise self.wrong("a number that fits a float") from error

    def boolean(self) -> bool:
        """true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def text(self) -> str:
        """A string that UTF-8 can hold."""
        if not isinstance(self.value, str) or not (self.value.isascii() or _unicode(self.value)):
            raise self.wrong("a string of Unicode text")
        return self.value

    def choice(self, known: Collection[str]) -> str:
        """One of the known strings."""
        if not isinstance(self.value, str) or self.value not in known:
            raise self.wrong(f"one of {', '.join(sorted(known))}")
        return self.value


def _unicode(text: str) -> bool:
    """Whether it has no half of a surrogate pair."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _within(numbers: list[Any], low: int, high: int) -> bool:
    """Whether all are whole numbers in low..high."""
    whole = set(map(type, numbers)) <= {int}
    return whole and min(numbers, default=low) >= low and max(numbers, default=high) <= high


def parse(text: str, place: str) -> Field:
    """Strict JSON: unique keys, finite numbers, at most MAX_DEPTH levels.

    Raises:
        ArtifactError: the text is anything else.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = min(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise ArtifactError(f"{place}: expected unique keys, found {shown(twice)} twice")
        return found

    def refuse(constant: str) -> NoReturn:
        raise ArtifactError(f"{place}: expected finite numbers, found {shown(constant)}")

    def finite(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse(digits)

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_float=finite)
    except RecursionError as error:
        raise ArtifactError(f"{place}: nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise ArtifactError(f"{place}: expected JSON, found an error: {error}") from error
    _check_depth(value, place)
    return Field(value, place)


def _check_depth(value: Any, place: str) -> None:
    level: list[Any] = [value] if type(value) in CONTAINERS else []
    depth = 1
    while level and depth < MAX_DEPTH:
        inside = (v.values() if type(v) is dict else v for v in level)
        level = [child for children in inside for child in children if type(child) in CONTAINERS]
        depth += 1
    if any(level):
        raise ArtifactError(f"{place}: nested deeper than {MAX_DEPTH} levels")
