"""z of one block in lanes, and the gradients of its values and sources."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from sim_compress.model import Affine, Shape, Term, with_tables
from sim_compress.model.maps import Array
from sim_compress.runtime.compiled.code.vectors import WIDTH
from sim_compress.runtime.reverse.features import Features, features
from sim_compress.runtime.reverse.lanes import Buffers, Floats, aligned, shaped
from sim_compress.runtime.reverse.tied import add_gradients, add_rows
from sim_compress.runtime.reverse.tied_code import LANES, ROWS


@dataclass(frozen=True, eq=False)
class Values:
    """What a pass has computed.

    Attributes:
        entries: name of a source -> (entries + 1, LANES).
        raw: name of an input -> (*shape, LANES) in its own dtype.
        buffers: memory of the pass.
    """

    entries: dict[str, Floats]
    raw: dict[str, Array]
    buffers: Buffers


@dataclass(frozen=True, eq=False)
class _Term:
    source: str
    features: Features
    indptr: np.ndarray
    columns: np.ndarray
    values: Floats
    shared: np.ndarray
    # A skip connection has no values of its own.
    weighted: bool


class Rows:
    """z = sum of terms + bias.

    Args:
        name: of the block or output.
        affine: its terms and bias.
        shapes: source name -> shape.
        parameters: the nonzero values of every weight, then the bias where there is one; to be changed in
            place. Rows without a bias have a zero there, and no gradient.
        tables: id of a weight that ids are looked up in -> it with its parameters as values.
    """

    def __init__(
        self,
        name: str,
        affine: Affine,
        shapes: Mapping[str, Shape],
        parameters: list[Floats],
        tables: Mapping[int, sparse.csr_array],
    ) -> None:
        self._name, self._affine, self.parameters = name, affine, parameters
        own = iter(self.parameters)
        self._terms = [
            _read_of(affine, term, shapes[term.source], None if term.weight is None else next(own))
            for term in with_tables(affine, tables).terms
        ]
        self._bias = None if affine.bias is None else self.parameters[-1]
        self._start = np.zeros(affine.rows, np.float32) if self._bias is None else self._bias
        self._biased = self._start != 0

    def forward(self, values: Values, *, rectified: bool) -> Floats:
        """z, or max(z, 0), entries in the block's own shape."""
        z = values.buffers.entries((self._name, "tied"), int(np.prod(self._affine.shape)))
        tied = z[:-1].reshape(self._affine.rows, -1, LANES)
        start, last = self._start, len(self._terms) - 1
        for number, t in enumerate(self._terms):
            x, rectify = self._read(number, values), rectified and number == last
            add_rows(t.indptr, t.columns, t.values, t.shared, t.features.table, x, tied, start, rectify)
            start = start[:0]
        return self._placed(z, values)

    def backward(
        self,
        values: Values,
        dz: Floats,
        gradients: Mapping[str, Floats],
        of_tables: Mapping[int, Floats],
    ) -> list[Floats]:
        """Gradients of the parameters from that of z; those of sources and of tables are added to.

        Args:
            dz: entries in the block's own shape.
            gradients: name -> gradient of a source; sources that are not there need none.
            of_tables: id of a table that ids are looked up in -> gradient of its nonzeros; tables that are
                not there need none.
        """
        tied = self._tied(dz, values)
        found: list[Floats] = []
        for number, term in enumerate(self._terms):
            own = aligned(len(term.values), WIDTH)
            own.fill(0)
            x = self._read(number, values)
            looked_up = term.features.looked_up
            of_rows = None if looked_up is None else of_tables.get(id(looked_up.lookup.table))
            target = gradients.get(term.source) if looked_up is None else None
            if looked_up is not None and of_rows is not None:
                target = values.buffers.entries((self._name, number, "gradient of rows"), looked_up.size)
                target.fill(0)
            dx = x[:0] if target is None else self._target(number, x, target, values)
            add_gradients(term.indptr, term.columns, term.values, term.features.table, x, tied, own, dx)
            if target is not None:
                term.features.pull_back(dx, target)
                if looked_up is not None and of_rows is not None:
                    source, raw = values.entries[term.source], values.raw.get(term.source)
                    looked_up.add_gradient(target, source, raw, of_rows)
            if term.weighted:
                found.append(own.sum(axis=1))
        if self._bias is not None:
            found.append(tied.sum(axis=(1, 2)) * self._biased)
        return found

    def affine(self) -> Affine:
        """The rows with the values as they are now; values that became zero leave."""
        terms = tuple(
            replace(term, weight=_with_values(term.weight, own.values)) if term.weight is not None else term
            for term, own in zip(self._affine.terms, self._terms, strict=True)
        )
        bias = None if self._bias is None else self._bias.copy()
        return replace(self._affine, terms=terms, bias=bias)

    def _read(self, number: int, values: Values) -> Floats:
        term = self._terms[number]

        def target(what: str, size: int) -> Floats:
            return values.buffers.entries((self._name, number, what), size)

        source = values.entries[term.source]
        return term.features.read(source, values.raw.get(term.source), target)

    def _target(self, number: int, x: Floats, source: Floats, values: Values) -> Floats:
        """Where the gradient of what a term reads goes: to its source, if it reads that as it is."""
        if self._terms[number].features.matrix is None:
            return source
        dx = values.buffers.entries((self._name, number, "gradient"), len(x) - 1)
        dx.fill(0)
        return dx

    def _placed(self, z: Floats, values: Values) -> Floats:
        """Entries (rows, positions) in the block's own order."""
        affine = self._affine
        if affine.row_axis == 0:
            return z
        placed = values.buffers.entries((self._name, "z"), len(z) - 1)
        tied = z[:-1].reshape(affine.rows, *affine.positions, LANES)
        shaped(placed, affine.shape)[:] = np.moveaxis(tied, 0, affine.row_axis)
        return placed

    def _tied(self, dz: Floats, values: Values) -> Floats:
        """Entries in the block's own order as (rows, positions, LANES)."""
        affine = self._affine
        if affine.row_axis == 0:
            return dz[:-1].reshape(affine.rows, -1, LANES)
        # z has been placed: its tied form is not needed any more.
        moved = values.buffers.entries((self._name, "tied"), len(dz) - 1)
        target = moved[:-1].reshape(affine.rows, *affine.positions, LANES)
        target[:] = np.moveaxis(shaped(dz, affine.shape), affine.row_axis, 0)
        return moved[:-1].reshape(affine.rows, -1, LANES)


def parameters_of(affine: Affine) -> list[Floats]:
    """Copies of the values of every weight, then of the bias where there is one."""
    biases = () if affine.bias is None else (affine.bias,)
    return [values.astype(np.float32) for values in (*(w.data for w in affine.weights), *biases)]


def _read_of(affine: Affine, term: Term, shape: Shape, values: Floats | None) -> _Term:
    """A term whose source has this shape; a skip connection has a one for each row."""
    weight = term.weight
    if weight is None:
        weight = sparse.csr_array(sparse.eye_array(affine.rows, format="csr"))
    indptr, columns = (a.astype(np.int32) for a in (weight.indptr, weight.indices))
    if values is None:
        values = weight.data.astype(np.float32)
    own = features(affine, term, shape)
    shared = _shared(indptr, columns)
    return _Term(term.source, own, indptr, columns, values, shared, term.weight is not None)


def _shared(indptr: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """For every ROWS rows whether all have the same columns."""

    def alike(first: int) -> bool:
        own = [columns[indptr[r] : indptr[r + 1]] for r in range(first, min(first + ROWS, len(indptr) - 1))]
        return len(own) == ROWS and all(np.array_equal(own[0], other) for other in own[1:])

    return np.array([alike(first) for first in range(0, len(indptr) - 1, ROWS)], bool)


def _with_values(weight: sparse.csr_array, values: Floats) -> sparse.csr_array:
    made = sparse.csr_array((values.copy(), weight.indices.copy(), weight.indptr.copy()), weight.shape)
    made.eliminate_zeros()
    return made
