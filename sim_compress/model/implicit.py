"""The implicit model: inputs, state blocks in order of evaluation, outputs.

    X = phi(A X + B U)        equilibrium equation
    Y = C X + D U             prediction equation

M = [A B; C D] is kept as tied rows: a convolution has one row per output channel, shared by all pixels.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.errors import InputError
from sim_compress.model.maps import Array, LinearMap, Lookup, Shape, chain_shape


@dataclass(frozen=True)
class Input:
    """One input U of the network: per-sample shape and numpy dtype name."""

    name: str
    shape: Shape
    dtype: str = "float32"

    def values(self, array: Array) -> Array:
        """What enters the maps: real numbers in float32, whole numbers and truth values as they are."""
        return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


@dataclass(frozen=True, eq=False)
class Term:
    """One linear map from one source (a block or an input) into one block.

    Without a weight the mapped source is added as it is (a skip connection). With a weight the maps
    give features (k, *positions) and the weight (rows, k) acts on them at every position; a grouped
    weight keeps the full k, with rows of group i non-zero only in the i-th part of the features.
    """

    source: str
    maps: tuple[LinearMap, ...] = ()
    weight: sparse.csr_array | None = None
    groups: int = 1


def weight_shape(weight: sparse.csr_array) -> tuple[int, int]:
    """(rows, features) of a weight; scipy's own annotation of `shape` admits None."""
    return cast(tuple[int, int], weight.shape)


@dataclass(frozen=True, eq=False)
class Affine:
    """z = sum of terms + bias, of shape (*shape, samples); its tied rows lie along row_axis."""

    shape: Shape
    terms: tuple[Term, ...]
    bias: NDArray[np.float32] | None = None
    row_axis: int = 0

    @property
    def rows(self) -> int:
        """Number of tied rows of M in this block."""
        return self.shape[self.row_axis] if self.shape else 1

    @property
    def positions(self) -> Shape:
        """The axes along which rows are tied."""
        return self.shape[: self.row_axis] + self.shape[self.row_axis + 1 :]

    def placed(self, rows: Array, *behind: int) -> Array:
        """Products of the tied rows, (rows, positions * ...), as an array of shape (*shape, *behind)."""
        apart = rows.reshape(self.rows, *self.positions, *behind)
        # A scalar has a row, but no axis for it.
        return np.moveaxis(apart, 0, self.row_axis).reshape((*self.shape, *behind))

    @property
    def weighted(self) -> tuple[Term, ...]:
        """The terms with parameters."""
        return tuple(t for t in self.terms if t.weight is not None)

    @property
    def weights(self) -> tuple[sparse.csr_array, ...]:
        """The weights of the terms with parameters, in the same order."""
        return tuple(t.weight for t in self.terms if t.weight is not None)

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """The learned tables that its terms look ids up in."""
        return tuple(m for t in self.terms for m in t.maps if isinstance(m, Lookup))

    @cached_property
    def nnz(self) -> int:
        """Nonzero parameters: weights and bias, tied rows counted once."""
        bias = 0 if self.bias is None else int(np.count_nonzero(self.bias))
        return bias + sum(int(w.count_nonzero()) for w in self.weights)


@dataclass(frozen=True, eq=False)
class StateBlock:
    """The pre- and post-activation of one nonlinear node: x = phi(z)."""

    name: str
    affine: Affine
    phi: Activation

    @property
    def shape(self) -> Shape:
        """Shape of the state x."""
        return self.phi.state_shape(self.affine.shape)


@dataclass(frozen=True, eq=False)
class Output:
    """Rows of the prediction equation."""

    name: str
    affine: Affine

    @property
    def shape(self) -> Shape:
        return self.affine.shape


@dataclass(frozen=True, eq=False)
class ImplicitModel:
    """A, B, C, D as tied rows over blocks; blocks may read any block, also later ones (loops in A).

    Raises:
        InputError: names are not unique, a source is missing or shapes do not fit.
    """

    inputs: tuple[Input, ...]
    blocks: tuple[StateBlock, ...]
    outputs: tuple[Output, ...]
    shapes: dict[str, Shape] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sources = [*self.inputs, *self.blocks]
        shapes = {s.name: s.shape for s in sources}
        names = [s.name for s in (*sources, *self.outputs)]
        twice = sorted(n for n, count in Counter(names).items() if count > 1)
        if twice:
            raise InputError(f"inputs, blocks and outputs of a model need unique names; used twice: {twice}")
        object.__setattr__(self, "shapes", shapes)
        for name, affine in self.affines():
            try:
                _check(affine, shapes)
            except ValueError as error:
                raise InputError(f"block {name!r}: {error}") from error

    def __getstate__(self) -> dict[str, object]:
        """What a copy takes: its arrays have other ids."""
        return {name: value for name, value in self.__dict__.items() if name != "holders"}

    def affines(self) -> list[tuple[str, Affine]]:
        """All row groups of M in order: the blocks' (A, B), then the outputs' (C, D)."""
        return [(b.name, b.affine) for b in (*self.blocks, *self.outputs)]

    @cached_property
    def owners(self) -> dict[str, str]:
        """Block or output with weights -> the first one of the same rows, itself where no other has them.

        Rows are the same where weights, groups and bias are: the same arrays, not equal ones.
        """
        first: dict[tuple[object, ...], str] = {}
        return {
            name: first.setdefault((id(a.bias), *((id(t.weight), t.groups) for t in a.weighted)), name)
            for name, a in self.affines()
            if a.weighted
        }

    def owns(self, name: str) -> bool:
        """Whether the rows of a block or output are no earlier one's."""
        return self.owners.get(name, name) == name

    def uses(self, owner: str) -> tuple[str, ...]:
        """The owner of some rows and all blocks and outputs that share them, in order."""
        return self._uses.get(owner, (owner,))

    @cached_property
    def _uses(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, owner in self.owners.items():
            found[owner] = (*found.get(owner, ()), name)
        return found

    @cached_property
    def multiplications(self) -> int:
        """Of one sample, where each block is evaluated once: every weight at each position of its rows."""
        return sum(w.nnz * math.prod(a.positions) for _, a in self.affines() for w in a.weights)

    @cached_property
    def holders(self) -> dict[int, str]:
        """id of a weight without groups -> the first block or output that has it."""
        found: dict[int, str] = {}
        for name, affine in self.affines():
            for term in affine.weighted:
                if term.groups == 1:
                    found.setdefault(id(term.weight), name)
        return found

    @cached_property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """Owner of rows -> blocks and outputs that look ids up in them, where there are any, in order."""
        found: dict[str, tuple[str, ...]] = {}
        for name, affine in self.affines():
            for owner in dict.fromkeys(self.holders.get(id(m.table)) for m in affine.lookups):
                if owner is not None:
                    found[owner] = (*found.get(owner, ()), name)
        return found

    def own_tables(self, affine: Affine) -> tuple[Lookup, ...]:
        """The lookups of a block whose tables are no rows of M."""
        return tuple(m for m in affine.lookups if id(m.table) not in self.holders)

    @property
    def nnz(self) -> int:
        """nnz(M), tied rows and those that blocks share counted once, biases included."""
        return sum(affine.nnz for name, affine in self.affines() if self.owns(name))

    @property
    def parameters(self) -> int:
        """Nonzero parameters of M and of the tables that ids are looked up in."""
        tables = {id(m.table): m for _, affine in self.affines() for m in self.own_tables(affine)}
        return self.nnz + sum(m.nonzeros for m in tables.values())

    def is_input(self, name: str) -> bool:
        """Whether a source is an input (its columns are in B or D) and not a block (A or C)."""
        return name in self._inputs

    @cached_property
    def _inputs(self) -> frozenset[str]:
        return frozenset(i.name for i in self.inputs)


def _check(affine: Affine, shapes: dict[str, Shape]) -> None:
    """ValueError unless terms, bias and shapes of one block fit together."""
    if affine.bias is not None and affine.bias.shape != (affine.rows,):
        raise ValueError(f"bias of shape {affine.bias.shape} for {affine.rows} rows")
    if not affine.terms:
        raise ValueError("expected a term or more: without one it reads nothing")
    for term in affine.terms:
        if term.source not in shapes:
            raise ValueError(f"reads {term.source!r}, which is neither an input nor a block")
        shape = chain_shape(term.maps, shapes[term.source])
        if term.weight is None:
            if shape != affine.shape:
                raise ValueError(f"term from {term.source!r} has shape {shape}, the block {affine.shape}")
            continue
        if not shape or shape[1:] != affine.positions or term.weight.shape != (affine.rows, shape[0]):
            raise ValueError(
                f"weight {term.weight.shape} on features {shape} from {term.source!r} "
                f"does not give {affine.shape} with rows on axis {affine.row_axis}"
            )
        if affine.rows % term.groups or shape[0] % term.groups:
            raise ValueError(f"{term.groups} groups do not divide weight {term.weight.shape}")
