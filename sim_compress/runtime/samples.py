"""Inputs of a model: checked, in parts, and the hash that names them in provenance and reports."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.errors import DataError
from sim_compress.model import ImplicitModel, Input, LinearMap, Lookup, Shape, StateBlock, apply_chain
from sim_compress.model.maps import Array, selects

_dtype = cache(np.dtype)
# Samples looked at together.
PART = 256
NO_LIMIT = np.iinfo(np.int64).max


def check_inputs(expected: Sequence[Input], inputs: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Inputs as arrays of the model's own dtype, every name, shape and dtype checked.

    Numbers convert where no value can change its meaning: any real number to a float input, integers to
    an integer input that holds them.

    Raises:
        DataError: what was expected, what came, and for which input.
    """
    if (ready := _ready(expected, inputs)) is not None:
        return ready
    inputs = named(expected, inputs)
    if set(inputs) != {i.name for i in expected}:
        raise DataError(f"expected the inputs {sorted(i.name for i in expected)}, got {sorted(inputs)}")
    arrays = {i.name: _checked(i, np.asarray(inputs[i.name])) for i in expected}
    if len({len(a) for a in arrays.values()}) > 1:
        raise DataError(
            f"inputs differ in their number of samples: { {n: len(a) for n, a in arrays.items()} }"
        )
    return arrays


def _ready(expected: Sequence[Input], inputs: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Array] | None:
    """Inputs that need no conversion, found without the checks that say what is wrong; None for all others.

    A small network takes less time than those checks.
    """
    alone = type(inputs) is not dict
    if len(expected) != (1 if alone else len(inputs)):
        return None
    given = {expected[0].name: inputs} if alone else inputs
    for one in expected:
        array = given.get(one.name)
        if type(array) is not np.ndarray or array.dtype != _dtype(one.dtype):
            return None
        if not array.ndim or array.shape[1:] != one.shape:
            return None
    arrays = cast(dict[str, Array], given)
    return arrays if len(arrays) == 1 or len({a.shape[0] for a in arrays.values()}) == 1 else None


def named(expected: Sequence[Input], inputs: ArrayLike | Mapping[str, ArrayLike]) -> Mapping[str, ArrayLike]:
    """Inputs by name; an array alone is the only input.

    Raises:
        DataError: an array alone was given for several inputs.
    """
    if isinstance(inputs, Mapping):
        shapes = {i.name: i.shape for i in expected}
        return {
            name: _framed(array, shapes[name]) if name in shapes else array for name, array in inputs.items()
        }
    if len(expected) != 1:
        raise DataError(f"the model has the inputs {', '.join(i.name for i in expected)}: pass a dict")
    return {expected[0].name: _framed(inputs, expected[0].shape)}


def _framed(array: ArrayLike, shape: Shape) -> ArrayLike:
    """Samples joined along a first axis of one, as (samples, 1, ...); any other array as it is."""
    whole = np.asarray(array)
    joined = shape[:1] == (1,) and whole.ndim == len(shape) and whole.shape[1:] == shape[1:]
    return whole[:, None] if joined else array


def _checked(expected: Input, array: Array) -> Array:
    wanted = ("samples", *expected.shape)
    if array.shape[1:] != expected.shape or array.ndim != len(wanted):
        raise DataError(f"input {expected.name!r}: expected shape {wanted}, got {array.shape}")
    dtype = _dtype(expected.dtype)
    if array.dtype.kind not in ("fiub" if dtype.kind == "f" else "iub"):
        raise DataError(f"input {expected.name!r}: expected {dtype} numbers, got dtype {array.dtype}")
    return array.astype(dtype, copy=False)


def check_samples(expected: Sequence[Input], inputs: Mapping[str, Array]) -> int:
    """Number of samples of inputs, name -> (samples, ...), that a model can be run on.

    Raises:
        DataError: names, shapes, dtypes or sample numbers do not fit, there are no samples, or a value is
            not finite.
    """
    try:
        # Conversion of all samples at once would take the memory that batches save.
        check_inputs(expected, {name: array[:1] for name, array in inputs.items()})
    except (DataError, IndexError):
        check_inputs(expected, inputs)
        raise
    counts = {name: len(array) for name, array in inputs.items()}
    if len(set(counts.values())) > 1:
        raise DataError(f"inputs differ in their number of samples: {counts}")
    if 0 in counts.values():
        raise DataError(f"input {next(iter(counts))!r} holds no samples")
    for name, array in inputs.items():
        for number, part in enumerate(parts(array)):
            finite = np.isfinite(part).reshape(len(part), -1).all(axis=1)
            if not finite.all():
                sample = number * PART + int(np.argmin(finite))
                raise DataError(f"input {name!r}: sample {sample} holds NaN or infinity")
    return next(iter(counts.values()))


@dataclass(frozen=True, eq=False)
class Checked:
    """Inputs that a model can be run on, checked once however often they are handed on.

    Attributes:
        arrays: input name -> (samples, ...), in the dtype they came in.
        expected: inputs of the model.
        samples: how many.
    """

    arrays: Mapping[str, Array]
    expected: tuple[Input, ...]
    samples: int

    @cached_property
    def sha256(self) -> str:
        """Of names, dtypes, shapes and values as the model sees them."""
        return digest(self.expected, self.arrays)


def checked(expected: Sequence[Input], inputs: Mapping[str, Array]) -> Checked:
    """Inputs, name -> (samples, ...), that a model can be run on; errors as for `check_samples`."""
    return Checked(inputs, tuple(expected), check_samples(expected, inputs))


@dataclass(frozen=True, eq=False)
class IdRange:
    """Where a model looks an input's own numbers up in a table of so many rows."""

    source: str
    maps: tuple[LinearMap, ...]
    rows: int

    def check(self, inputs: Mapping[str, Array]) -> None:
        """DataError where an id has no row, with the input and the sample."""
        for number, part in enumerate(parts(inputs[self.source])):
            whole = np.trunc(part) if part.dtype.kind == "f" else part
            ids = apply_chain(self.maps, np.moveaxis(whole, 0, -1))
            outside = (ids < -self.rows) | (ids >= self.rows)
            if outside.any():
                place = int(np.argmax(outside.reshape(-1, len(part)).any(axis=0)))
                raise DataError(
                    f"input {self.source!r}: sample {number * PART + place} holds the id {ids[outside][0]}, "
                    f"expected 0..{self.rows - 1}, as many as the network's table has rows"
                )


def id_ranges(model: ImplicitModel) -> tuple[IdRange, ...]:
    """Every lookup that reads an input, of whole numbers or of numbers that are cut to such."""
    kinds = {i.name: np.dtype(i.dtype).kind for i in model.inputs}
    cut = {b.name: b.affine.terms[0] for b in model.blocks if _cuts(b)}
    found = []
    for _, affine in model.affines():
        for term in affine.terms:
            source, maps = term.source, term.maps
            is_whole = kinds.get(source, "") in "iu"
            if source in cut:
                source, maps, is_whole = cut[source].source, (*cut[source].maps, *maps), True
            if source in kinds and is_whole:
                found += [
                    IdRange(source, maps[:place], step.shape[0])
                    for place, step in enumerate(maps)
                    if isinstance(step, Lookup)
                ]
    return tuple(found)


def _cuts(block: StateBlock) -> bool:
    """Whether a block is one source cut to whole numbers."""
    affine = block.affine
    return block.phi.name == "truncate" and len(affine.terms) == 1 and not affine.weighted


def id_limits(model: ImplicitModel) -> dict[str, Array]:
    """Input name -> (*shape) numbers that the ids of each entry stay below; 2 where nothing is looked up.

    Where an id is computed from several entries, the table's size is the limit of all of them.
    """
    shapes = {i.name: i.shape for i in model.inputs}
    limits: dict[str, Array] = {}
    for ids in id_ranges(model):
        shape = shapes[ids.source]
        own = limits.setdefault(ids.source, np.full(shape, NO_LIMIT))
        if all(map(selects, ids.maps)):
            entries = np.arange(1, own.size + 1).reshape(*shape, 1)
            read = np.unique(apply_chain(ids.maps, entries))
            flat = own.reshape(-1)
            places = read[read > 0] - 1
            flat[places] = np.minimum(flat[places], ids.rows)
        else:
            np.minimum(own, ids.rows, out=own)
    return {name: np.where(own == NO_LIMIT, 2, own) for name, own in limits.items()}


def parts(array: Array) -> Iterator[Array]:
    """Samples of an array, PART at a time."""
    return (array[start : start + PART] for start in range(0, len(array), PART))


def digest(expected: Sequence[Input], inputs: Mapping[str, Array]) -> str:
    """sha256 over names, dtypes, shapes and values of checked inputs as the model sees them."""
    dtypes = {i.name: np.dtype(i.dtype) for i in expected}
    total = hashlib.sha256()
    for name in sorted(inputs):
        array = inputs[name]
        total.update(f"{name} {dtypes[name].str} {array.shape} ".encode())
        for part in parts(array):
            total.update(part.astype(dtypes[name]).tobytes())
    return total.hexdigest()
