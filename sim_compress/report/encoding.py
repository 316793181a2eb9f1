"""Report to JSON text and back; reading trusts nothing."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from sim_compress.errors import InputError
from sim_compress.report.figures import Report
from sim_compress.report.sweep import SweepReport

FORMAT = "sim-compress report"
SWEEP_FORMAT = "sim-compress sweep"
# In version 1 an artifact had the SHA-256 of its bytes and not the digest that stands in it.
VERSION = 2
SWEEP_VERSION = 1


def to_json(report: Report | SweepReport) -> str:
    """The report as indented JSON text with a final newline."""
    name, version = (FORMAT, VERSION) if isinstance(report, Report) else (SWEEP_FORMAT, SWEEP_VERSION)
    document = {"format": name, "version": version, **asdict(report)}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def from_json(text: str) -> Report:
    """The report behind JSON text.

    Raises:
        InputError: the text is not JSON, not a report of this version, or an entry is missing, unknown or
            of the wrong type; the message names the entry.
    """
    try:
        document = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected the JSON of a report, found an error: {error}") from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise InputError(f"expected a JSON object with the entry 'format': '{FORMAT}'")
    version = document.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        raise InputError(
            f"expected report version {VERSION}, found {version!r}: compress again, or read it with the "
            "program that wrote it"
        )
    return _decode(Report, document, "report")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a finite number")


def _decode(kind: Any, value: Any, place: str) -> Any:
    """A JSON value as the type a field asks for; InputError names the place where it is none."""
    if isinstance(kind, UnionType):
        return _any_of(get_args(kind), value, place)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, place)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, list):
        return tuple(_decode(arguments[0], v, f"{place}[{i}]") for i, v in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: _decode(arguments[1], v, f"{place}.{key}") for key, v in value.items()}
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind in (int, bool, str, NoneType) and type(value) is kind:
        return value
    raise InputError(f"{place}: expected {_words(kind)}, found {value!r:.60}")


def _any_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    for kind in kinds:
        try:
            return _decode(kind, value, place)
        except InputError:
            continue
    raise InputError(f"{place}: expected {' or '.join(map(_words, kinds))}, found {value!r:.60}")


def _dataclass(kind: type, value: Any, place: str) -> Any:
    names = [f.name for f in fields(kind)]
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected an object, found {value!r:.60}")
    for name in names:
        if name not in value:
            raise InputError(f"{place}: expected the entry {name!r}, found none")
    for name in value:
        if name not in names:
            raise InputError(f"{place}: unknown entry {name!r:.60}")
    hints = get_type_hints(kind)
    return kind(**{name: _decode(hints[name], value[name], f"{place}.{name}") for name in names})


def _words(kind: Any) -> str:
    words = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false"}
    words |= {NoneType: "null", tuple: "a list", Mapping: "an object"}
    return words[get_origin(kind) or kind]
