"""Fixed maps and phi as JSON: a name and the fields of its class; constants become arrays."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.activations import KINDS, Activation
from sim_compress.artifact.fields import JSON, Field, shown
from sim_compress.artifact.limits import MAX_ELEMENTS, MAX_RANK, refusing
from sim_compress.artifact.spec import TABLE, map_name
from sim_compress.artifact.store import Sink, Store
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import MAPS, LinearMap, Pad, Patches, Reshape, Slice, Sum, Transpose
from sim_compress.storage import pieces

Floats = NDArray[Any]
# The fields of every map, by its name.
FIELDS = {name: tuple(f.name for f in fields(kind)) for name, kind in MAPS.items()}
# Fields of a map that have a default: which field says how many axes there are, and the number for each.
DEFAULTS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "patches": ("kernel", {"strides": 1, "dilations": 1, "before": 0, "after": 0}),
    "slice": ("counts", {"starts": 0, "steps": 1}),
}
# Maps without arrays or names of tensors.
WHOLE = (Reshape, Transpose, Slice, Pad, Patches, Sum)
# What numbers that JSON does not hold are written as; only bounds may be infinite.
NOT_FINITE = ("nan", "inf", "-inf")
INFINITIES = {"inf": math.inf, "-inf": -math.inf}


def _numbers(low: int) -> Callable[[Field, Store], tuple[int, ...]]:
    def decode(field: Field, _: Store) -> tuple[int, ...]:
        numbers = field.integers(low, MAX_ELEMENTS)
        if len(numbers) > MAX_RANK:
            raise field.wrong(f"at most {MAX_RANK} numbers")
        return numbers

    return decode


def _constant(field: Field, store: Store) -> Floats:
    """A scalar stands inline."""
    if isinstance(field.value, int | float) and not isinstance(field.value, bool):
        return narrowed(np.asarray(field.real(), np.float64))
    if isinstance(field.value, str) and field.value in NOT_FINITE:
        raise field.wrong("a number or the name of a tensor")
    return store.constant(field)


def _table(field: Field, store: Store) -> Floats | sparse.csr_array:
    """A constant, or an object for a matrix."""
    return store.table(field) if isinstance(field.value, dict) else _constant(field, store)


def _number(field: Field, _: Store) -> int:
    return field.integer(0, MAX_RANK)


def _real(field: Field, _: Store) -> float:
    return field.real()


def _bound(field: Field, _: Store) -> float:
    if isinstance(field.value, str):
        return INFINITIES[field.choice(INFINITIES)]
    return field.real()


def _parts(field: Field, _: Store) -> tuple[tuple[int, ...], ...]:
    """The shapes of a phi's parts; a scalar's is empty."""
    return tuple(_sizes(item, _) for item in field.items())


_sizes, _places, _signed = _numbers(1), _numbers(0), _numbers(-MAX_ELEMENTS)

# One entry for each field name of a map and each attribute of a phi.
DECODERS: Mapping[str, Callable[[Field, Store], Any]] = {
    "shape": _sizes,
    "counts": _sizes,
    "kernel": _sizes,
    "strides": _sizes,
    "dilations": _sizes,
    "axes": _places,
    "starts": _places,
    "before": _places,
    "after": _places,
    "pads_begin": _places,
    "pads_end": _places,
    "steps": _signed,
    "parts": _parts,
    "size": lambda field, _: field.integer(1, MAX_ELEMENTS),
    "p": lambda field, _: field.integer(1, 2),
    **dict.fromkeys(("slope", "alpha", "beta", "gamma", "bias", "lambda", "epsilon", "exponent"), _real),
    "slopes": _constant,
    "table": _table,
    "low": _bound,
    "high": _bound,
    "factor": _constant,
    "offset": _constant,
    "axis": _number,
    "matrix": lambda field, store: store.fixed_matrix(field),
}


def narrowed(values: Floats) -> Floats:
    """float32 where that holds the same values, float64 otherwise."""
    if values.dtype == np.float32 and not any(np.isnan(piece).any() for piece in pieces(values)):
        return values.astype("<f4", copy=False)
    wide = values.astype("<f8")
    with np.errstate(over="ignore"):
        narrow = wide.astype("<f4")
    return narrow if np.array_equal(narrow, wide) else wide


def _encoded(value: Any, name: str, sink: Sink, *, table: bool = False) -> JSON:
    """One field's value; a matrix or an array with axes goes into the sink under this name."""
    if isinstance(value, sparse.csr_array):
        return sink.table(name, value) if table else sink.fixed_matrix(name, value)
    if isinstance(value, np.ndarray) and value.ndim:
        return sink.constant(name, value)
    try:
        if isinstance(value, int):
            return operator.index(value)
        if isinstance(value, tuple | list):
            return [
                _encoded(v, name, sink) if isinstance(v, tuple | list) else operator.index(v) for v in value
            ]
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected whole numbers, a number or an array, found {shown(value)}") from error
    return number if math.isfinite(number) else str(number)


def encode_maps(maps: tuple[LinearMap, ...], name: str, sink: Sink) -> list[JSON]:
    """A chain as JSON; names of its arrays begin with `name`. Fields that have their default are left out.

    Raises:
        InputError: a map is not one of `model.MAPS`, or a field of it holds no numbers.
    """
    names = {kind: name for name, kind in MAPS.items()}
    chain: list[JSON] = []
    for number, step in enumerate(maps):
        if type(step) not in names:
            raise InputError(
                f"a map of type {type(step).__name__} has no place in the format: {sorted(MAPS)}"
            )
        kind = names[type(step)]
        values = {
            key: _encoded(getattr(step, key), map_name(name, number, key), sink, table=key == TABLE)
            for key in FIELDS[kind]
        }
        default = _defaults(kind, values)
        chain.append({"map": kind, **{k: v for k, v in values.items() if default.get(k) != v}})
    return chain


def _defaults(kind: str, values: Mapping[str, Any]) -> dict[str, list[int]]:
    """Fields that may be left out, one number for each axis of the field that may not."""
    by, fill = DEFAULTS.get(kind, ("", {}))
    return {key: [number] * len(values[by]) for key, number in fill.items()}


def decode_maps(field: Field, store: Store, known: dict[str, LinearMap]) -> tuple[LinearMap, ...]:
    """The chain behind a JSON array.

    Args:
        known: maps of whole numbers alone, by their JSON; new ones join them. Most of a network's are alike.

    Raises:
        ArtifactError: a map is unknown or a field of it is missing, unknown or of the wrong type.
    """
    return tuple(_known_map(item, store, known) for item in field.items())


def _known_map(field: Field, store: Store, known: dict[str, LinearMap]) -> LinearMap:
    text = repr(field.value)
    if text in known:
        return known[text]
    step = _decode_map(field, store)
    if isinstance(step, WHOLE):
        known[text] = step
    return step


def _decode_map(field: Field, store: Store) -> LinearMap:
    name = _name(field, "map").choice(MAPS)
    names, (by, fill) = FIELDS[name], DEFAULTS.get(name, ("", {}))
    entries = field.entries(("map", *(n for n in names if n not in fill)), fill)
    values = {n: DECODERS[n](entries[n], store) for n in names if n in entries}
    absent = {n: (number,) * len(values[by]) for n, number in fill.items() if n not in entries}
    with refusing(field.place):
        return MAPS[name](**values, **absent)


def encode_phi(phi: Activation, name: str, sink: Sink) -> dict[str, JSON]:
    """phi as its name and attributes; names of its arrays begin with `name`."""
    found = {key: _encoded(value, f"{name}.{key}", sink) for key, value in phi.attributes.items()}
    return {"name": phi.name, **found}


def decode_phi(field: Field, store: Store) -> Activation:
    """The phi behind a JSON object.

    Raises:
        ArtifactError: its name is unknown or an attribute is missing, unknown or of the wrong type.
    """
    name = _name(field, "name").choice(KINDS)
    attributes = KINDS[name].attributes
    entries = field.entries(("name", *attributes))
    values = {key: DECODERS[key](entries[key], store) for key in attributes}
    with refusing(field.place):
        return Activation(name, values)


def _name(field: Field, key: str) -> Field:
    """The entry that says which other keys there are."""
    if not isinstance(field.value, dict) or key not in field.value:
        raise ArtifactError(f"{field.place}: expected an object with the key {key!r}")
    return Field(field.value[key], f"{field.place}.{key}")
