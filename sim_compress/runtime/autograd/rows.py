"""Tied rows in torch: the nonzero values are parameters, where they stand are buffers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from types import MappingProxyType

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from sim_compress.model import Affine, LinearMap, Lookup, Patches, Term, weight_shape
from sim_compress.runtime.autograd.maps import FixedMap, looked_up, padding

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


class Weight(nn.Module):
    """A sparse weight: parameter `values` (nonzeros,) and buffer `places` (nonzeros,) in the dense array.

    The dense array is (rows, features / groups) where rows of a group read only its own features.
    """

    places: Tensor

    def __init__(self, weight: sparse.csr_array, groups: int = 1) -> None:
        super().__init__()
        found, (rows, features) = weight.tocoo(copy=True), weight_shape(weight)
        found.sum_duplicates()
        found.eliminate_zeros()
        row, column = found.row.astype(np.int64), found.col.astype(np.int64)
        own = row // (rows // groups) == column // (features // groups)
        self.groups = groups if own.all() else 1
        self.shape = rows, features // self.groups
        self.values = nn.Parameter(torch.tensor(found.data, dtype=torch.float32))
        self.register_buffer("places", torch.tensor(row * self.shape[1] + column % self.shape[1]))

    def dense(self) -> Tensor:
        """The dense array, zero where there is no value."""
        zeros = self.values.new_zeros(self.shape[0] * self.shape[1])
        return zeros.index_put((self.places,), self.values).view(self.shape)

    def sparse(self) -> sparse.csr_array:
        """The values as they are now, (rows, features) in float32."""
        rows, own = self.shape
        row, column = np.divmod(self.places.cpu().numpy(), own)
        # Rows of a group read their own part of the features.
        column += row // (rows // self.groups) * own
        values = self.values.detach().to("cpu", torch.float32).numpy()
        found = sparse.csr_array((values, (row, column)), shape=(rows, own * self.groups))
        found.eliminate_zeros()
        return found


class RowsOf(nn.Module):
    """A lookup in the rows of a weight."""

    def __init__(self, weight: Weight) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        """The rows (samples, *shape, features) of the ids (samples, *shape)."""
        return looked_up(self.weight.dense(), x)


def _chain(maps: Sequence[LinearMap], tables: Mapping[int, Weight]) -> nn.Sequential:
    """Maps in order; those that look ids up in a weight read its values."""
    return nn.Sequential(
        *(
            RowsOf(tables[id(m.table)]) if isinstance(m, Lookup) and id(m.table) in tables else FixedMap(m)
            for m in maps
        )
    )


class UnweightedTerm(nn.Module):
    """A term without parameters: a chain of maps that has the block's own shape."""

    def __init__(self, term: Term, tables: Mapping[int, Weight]) -> None:
        super().__init__()
        self.source, self.chain = term.source, _chain(term.maps, tables)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """This term's part of z, (samples, *shape)."""
        return self.chain(x)


class WeightedTerm(nn.Module):
    """A chain of maps, then rows: a convolution where the chain ends in patches."""

    def __init__(self, term: Term, row_axis: int, weight: Weight, tables: Mapping[int, Weight]) -> None:
        super().__init__()
        self.source, self._row_axis, self.weight = term.source, row_axis, weight
        *before, last = term.maps or (None,)
        self._patches = last if isinstance(last, Patches) and len(last.kernel) in CONVOLUTIONS else None
        self.chain = _chain(term.maps if self._patches is None else before, tables)

    def forward(self, x: Tensor, dense: Tensor) -> Tensor:
        """This term's part of z, (samples, *shape)."""
        x = self.chain(x).to(dense.dtype)
        rows = (
            self._multiplied(x, dense) if self._patches is None else self._convolved(x, dense, self._patches)
        )
        return rows.movedim(1, 1 + self._row_axis)

    def _convolved(self, x: Tensor, dense: Tensor, patches: Patches) -> Tensor:
        x = functional.pad(x, padding(patches.before, patches.after))
        kernels = dense.view(len(dense), -1, *patches.kernel)
        convolve = CONVOLUTIONS[len(patches.kernel)]
        return convolve(x, kernels, None, patches.strides, 0, patches.dilations, self.weight.groups)

    def _multiplied(self, features: Tensor, dense: Tensor) -> Tensor:
        groups, positions = self.weight.groups, features.shape[2:]
        # Of an empty batch no size follows from the others.
        size = (groups, features.shape[1] // groups, math.prod(positions))
        parts = features.reshape(features.shape[0], *size)
        rows = dense.view(groups, len(dense) // groups, -1) @ parts
        return rows.reshape(features.shape[0], dense.shape[0], *positions)


class Rows(nn.Module):
    """z = sum of terms + bias; the bias is a parameter with all its entries, also those that are zero.

    Args:
        name: of the block or output.
        affine: its terms and bias.
        owner: the rows that the block shares, whose parameters are its own.
        tables: id of a weight that ids are looked up in -> its module.
    """

    def __init__(
        self,
        name: str,
        affine: Affine,
        owner: "Rows | None" = None,
        tables: Mapping[int, Weight] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.name = name
        self._trailing = (1,) * (len(affine.shape) - 1 - affine.row_axis)
        own = (
            tables.get(id(t.weight)) or Weight(t.weight, t.groups)
            for t in affine.weighted
            if t.weight is not None
        )
        weights = own if owner is None else iter(owner.weights)
        self._terms: list[UnweightedTerm | WeightedTerm] = [
            UnweightedTerm(term, tables)
            if term.weight is None
            else WeightedTerm(term, affine.row_axis, next(weights), tables)
            for term in affine.terms
        ]
        self.terms = nn.ModuleList(self._terms)
        if owner is None:
            self.bias = None if affine.bias is None else nn.Parameter(torch.tensor(affine.bias))
        else:
            self.bias = owner.bias

    @property
    def weights(self) -> list[Weight]:
        """Those of its terms, in order."""
        return [t.weight for t in self._terms if isinstance(t, WeightedTerm)]

    def dense_weights(self, unit: Tensor) -> list[Tensor]:
        """The weight of every term, `unit` where there is none: made once for all evaluations of a call."""
        return [t.weight.dense() if isinstance(t, WeightedTerm) else unit for t in self._terms]

    def affine(self, model: Affine) -> Affine:
        """The rows with the parameters as they are now; `model` is what they were made from."""
        terms = tuple(
            replace(term, weight=own.weight.sparse()) if isinstance(own, WeightedTerm) else term
            for term, own in zip(model.terms, self._terms, strict=True)
        )
        bias = None if self.bias is None else self.bias.detach().to("cpu", torch.float32).numpy().copy()
        return replace(model, terms=terms, bias=bias)

    def forward(self, values: Mapping[str, Tensor], dense: Sequence[Tensor]) -> Tensor:
        """z (samples, *shape) from the values of the sources (samples, *source shape)."""
        pairs = zip(self._terms, dense, strict=True)
        z = reduce(add, (term(values[term.source], weight).to(weight.dtype) for term, weight in pairs))
        return z if self.bias is None else z + self.bias.view(-1, *self._trailing)
