"""What a safetensors reader sees of an artifact: matrices, biases and all other tensors, with their bytes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sim_compress.artifact.decoder import Artifact
from sim_compress.artifact.spec import BIAS, ITEM_BYTES, TABLE, block_part, map_name, output_part
from sim_compress.model import Affine, ImplicitModel, Lookup, Shape, Term, weight_shape

PARTS = ("values", "exponents", "support")


@dataclass(frozen=True)
class Listed:
    """One matrix, bias or other tensor.

    Attributes:
        name: of the matrix, or of the tensor.
        block: that the rows belong to; None for all else.
        shape: of what it holds.
        nonzeros: that it holds; None for all else.
        bytes: that its tensors take; None where they are not its own.
        tensors: dtype of each of its tensors, by name.
    """

    name: str
    block: str | None
    shape: Shape
    nonzeros: int | None
    bytes: int | None
    tensors: dict[str, str]


class _Entry(NamedTuple):
    """What the header says of one tensor."""

    dtype: str
    shape: Shape
    bytes: int


def _entry(found: Mapping[str, Any]) -> _Entry:
    start, stop = found["data_offsets"]
    return _Entry(found["dtype"], tuple(found["shape"]), stop - start)


def listing(artifact: Artifact) -> tuple[Listed, ...]:
    """Matrices and biases in model order, then what else there is in order of names."""
    tensors = {name: _entry(found) for name, found in artifact.header.items() if name != "__metadata__"}
    affines, known = enumerate(artifact.model.affines()), set[int]()
    rows = [
        item
        for i, (name, affine) in affines
        for item in _rows(artifact.model, tensors, i, name, affine, known)
    ]
    used = {name for item in rows for name in item.tensors}
    others = (
        Listed(name, None, tensor.shape, None, tensor.bytes, {name: tensor.dtype})
        for name, tensor in sorted(tensors.items())
        if name not in used
    )
    return (*rows, *others)


def _matrices(term: Term, name: str) -> Iterator[tuple[str, sparse.csr_array]]:
    """The matrices that a term's lookups read, and its own, by name."""
    for number, step in enumerate(term.maps):
        if isinstance(step, Lookup) and not isinstance(step.table, np.ndarray):
            yield map_name(name, number, TABLE), step.table
    if term.weight is not None:
        yield name, term.weight


def _rows(
    model: ImplicitModel,
    tensors: Mapping[str, _Entry],
    index: int,
    block: str,
    affine: Affine,
    known: set[int],
) -> Iterator[Listed]:
    """The matrices and the bias of one block or output that are not known yet, as an earlier block's are."""
    part = (block_part if index < len(model.blocks) else output_part)(index)
    for t, term in enumerate(affine.terms):
        for name, matrix in _matrices(term, part.matrix(t, model.is_input(term.source))):
            if id(matrix) not in known:
                known.add(id(matrix))
                own = {n: tensors[n].dtype for n in (name, *(f"{name}.{p}" for p in PARTS)) if n in tensors}
                # A matrix of zeros has no tensor; in version 3 none has one of its own.
                size = sum(tensors[n].bytes for n in own) if own or not matrix.nnz else None
                yield Listed(name, block, weight_shape(matrix), matrix.nnz, size, own)
    if affine.bias is not None and id(affine.bias) not in known:
        known.add(id(affine.bias))
        name = part.bias if part.bias in tensors else BIAS
        own = {name: tensors[name].dtype} if name in tensors else {}
        size = len(affine.bias) * ITEM_BYTES[tensors[name].dtype] if own else None
        yield Listed(part.bias, block, affine.bias.shape, int(np.count_nonzero(affine.bias)), size, own)
