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
from sim_compress.artifact.arrays import Arrays
from sim_compress.artifact.fields import JSON, Field, shown
from sim_compress.artifact.limits import MAX_ELEMENTS, MAX_RANK, refusing, sane
from sim_compress.artifact.matrix_decoder import decode_matrix
from sim_compress.artifact.matrix_encoder import Size, encode_matrix
from sim_compress.artifact.spec import CONSTANTS
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import MAPS, LinearMap, weight_shape

Floats = NDArray[Any]
# The fields of every map, by its name.
FIELDS = {name: tuple(f.name for f in fields(kind)) for name, kind in MAPS.items()}
INFINITIES = {"inf": math.inf, "-inf": -math.inf}


def _numbers(low: int) -> Callable[[Field, Arrays], tuple[int, ...]]:
    def decode(field: Field, _: Arrays) -> tuple[int, ...]:
        numbers = field.integers(low, MAX_ELEMENTS)
        if len(numbers) > MAX_RANK:
            raise field.wrong(f"at most {MAX_RANK} numbers")
        return numbers

    return decode


def _constant(field: Field, arrays: Arrays) -> Floats:
    """A scalar stands inline; of an array, format and shape."""
    if not isinstance(field.value, dict):
        return _narrowed(np.asarray(field.real(), np.float64))
    entries = field.entries(("format", "shape"))
    shape = _sizes(entries["shape"], arrays)
    with refusing(entries["shape"].place):
        sane(shape)
    if not shape:
        raise entries["shape"].wrong("one axis or more")
    return arrays.constant(field.place, entries["format"].choice(CONSTANTS), shape)


def _number(field: Field, _: Arrays) -> int:
    return field.integer(0, MAX_RANK)


def _matrix(field: Field, arrays: Arrays) -> sparse.csr_array:
    """A float32 matrix."""
    entries = field.entries(("rows", "weight"))
    rows = entries["rows"].integer(1, MAX_ELEMENTS)
    return decode_matrix(arrays, field.place, entries["weight"], rows)[0]


def _real(field: Field, _: Arrays) -> float:
    return field.real()


def _bound(field: Field, _: Arrays) -> float:
    if isinstance(field.value, str):
        return INFINITIES[field.choice(INFINITIES)]
    return field.real()


def _parts(field: Field, _: Arrays) -> tuple[tuple[int, ...], ...]:
    """The shapes of a phi's parts; a scalar's is empty."""
    return tuple(_sizes(item, _) for item in field.items())


_sizes, _places, _signed = _numbers(1), _numbers(0), _numbers(-MAX_ELEMENTS)

# One entry for each field name of a map and each attribute of a phi.
DECODERS: Mapping[str, Callable[[Field, Arrays], Any]] = {
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
    "table": _constant,
    "low": _bound,
    "high": _bound,
    "factor": _constant,
    "offset": _constant,
    "axis": _number,
    "matrix": _matrix,
}


def _narrowed(values: Floats) -> Floats:
    """float32 where that holds the same values, float64 otherwise."""
    wide = values.astype("<f8")
    with np.errstate(over="ignore"):
        narrow = wide.astype("<f4")
    return narrow if np.array_equal(narrow, wide) else wide


def _encoded(value: Any, arrays: dict[str, Floats]) -> JSON:
    """One field's value; a matrix or an array with axes is put among the arrays."""
    # A certificate's arrays come after those of all maps.
    name = f"maps.{len(arrays)}"
    if isinstance(value, sparse.csr_array):
        rows, columns = weight_shape(value)
        coded = encode_matrix(value, Size(rows, columns, 1))
        arrays[name] = coded.data
        return {"rows": rows, "weight": coded.fields}
    if isinstance(value, np.ndarray) and value.ndim:
        arrays[name] = np.ascontiguousarray(_narrowed(value))
        return {"format": arrays[name].dtype.name, "shape": list(value.shape)}
    try:
        if isinstance(value, int):
            return operator.index(value)
        if isinstance(value, tuple | list):
            return [_encoded(v, arrays) if isinstance(v, tuple | list) else operator.index(v) for v in value]
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected whole numbers, a number or an array, found {shown(value)}") from error
    return number if math.isfinite(number) else str(number)


def encode_maps(maps: tuple[LinearMap, ...], arrays: dict[str, Floats]) -> list[JSON]:
    """A chain as JSON; its constant arrays are added to `arrays` as maps.<n>.

    Raises:
        InputError: a map is not one of `model.MAPS`, or a field of it holds no numbers.
    """
    names = {kind: name for name, kind in MAPS.items()}
    chain: list[JSON] = []
    for step in maps:
        if type(step) not in names:
            raise InputError(
                f"a map of type {type(step).__name__} has no place in the format: {sorted(MAPS)}"
            )
        name = names[type(step)]
        values = {key: _encoded(getattr(step, key), arrays) for key in FIELDS[name]}
        chain.append({"map": name, **values})
    return chain


def decode_maps(field: Field, arrays: Arrays) -> tuple[LinearMap, ...]:
    """The chain behind a JSON array.

    Raises:
        ArtifactError: a map is unknown or a field of it is missing, unknown or of the wrong type.
    """
    return tuple(_decode_map(item, arrays) for item in field.items())


def _decode_map(field: Field, arrays: Arrays) -> LinearMap:
    name = _name(field, "map").choice(MAPS)
    kind, names = MAPS[name], FIELDS[name]
    entries = field.entries(("map", *names))
    values = {name: DECODERS[name](entries[name], arrays) for name in names}
    with refusing(field.place):
        return kind(**values)


def encode_phi(phi: Activation, arrays: dict[str, Floats]) -> dict[str, JSON]:
    """phi as its name and attributes; constant arrays are added to `arrays` as maps.<n>."""
    return {"name": phi.name, **{key: _encoded(value, arrays) for key, value in phi.attributes.items()}}


def decode_phi(field: Field, arrays: Arrays) -> Activation:
    """The phi behind a JSON object.

    Raises:
        ArtifactError: its name is unknown or an attribute is missing, unknown or of the wrong type.
    """
    name = _name(field, "name").choice(KINDS)
    attributes = KINDS[name].attributes
    entries = field.entries(("name", *attributes))
    values = {key: DECODERS[key](entries[key], arrays) for key in attributes}
    with refusing(field.place):
        return Activation(name, values)


def _name(field: Field, key: str) -> Field:
    """The entry that says which other keys there are."""
    if not isinstance(field.value, dict) or key not in field.value:
        raise ArtifactError(f"{field.place}: expected an object with the key {key!r}")
    return Field(field.value[key], f"{field.place}.{key}")
