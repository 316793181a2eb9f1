"""Full support: the paper's literal M, in which a row may use every state and every input but itself.

This makes loops in A, so the kappa constraint is what keeps the equilibrium unique. Rows copy their own
state where they may (z_i from relu(z_i)), which slows the fixed point and amplifies errors: it is forbidden.
Blocks that share rows in the network read other sources, and get rows of their own.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.errors import UnsupportedError
from sim_compress.model import Affine, ImplicitModel, Reshape, Term
from sim_compress.states import RowGroup


def widened(model: ImplicitModel) -> dict[str, Affine]:
    """Block or output name -> its rows with a term, empty at first, for every source they did not read.

    Raises:
        UnsupportedError: rows are tied along positions, which a dense row over all states cannot be, or a
            grouped convolution's features are; or a phi has no Lipschitz constant, so that no kappa proves
            its loops.
    """
    steep = [b for b in model.blocks if not np.isfinite(b.phi.lipschitz(b.affine.shape))]
    if steep:
        raise UnsupportedError(
            f"full support makes loops, and phi = {steep[0].phi.name} of block {steep[0].name!r} has no "
            "Lipschitz constant, without which kappa proves nothing: networks with such blocks have the "
            "support of the network alone"
        )
    tied = [name for name, a in model.affines() if a.weighted and math.prod(a.positions) > 1]
    grouped = [name for name, a in model.affines() if any(t.groups > 1 for t in a.weighted)]
    if tied or grouped:
        raise UnsupportedError(
            f"full support needs untied rows, but those of {(tied + grouped)[0]!r} are tied or grouped: "
            "convolutional and token-wise networks have the support of the network alone"
        )
    return {name: _widened(affine, model) if affine.weighted else affine for name, affine in model.affines()}


def _widened(affine: Affine, model: ImplicitModel) -> Affine:
    known = {t.source for t in affine.weighted}
    shapes = {name: shape for name, shape in model.shapes.items() if name not in known}
    extra = [
        Term(
            name,
            (Reshape((math.prod(shape), *affine.positions)),),
            sparse.csr_array((affine.rows, math.prod(shape)), dtype=np.float32),
        )
        for name, shape in shapes.items()
    ]
    return replace(affine, terms=(*affine.terms, *extra))


def own_states(name: str, affine: Affine, group: RowGroup) -> NDArray[np.bool_]:
    """Where a row's feature is its own state, (rows, features)."""
    parts = []
    for term, part in zip(affine.weighted, group.features, strict=True):
        rows, width = affine.rows, part.stop - part.start
        parts.append(
            np.eye(rows, width, dtype=bool) if term.source == name else np.zeros((rows, width), bool)
        )
    return np.hstack(parts)[group.rows]


def without_empty_terms(affines: Mapping[str, Affine]) -> dict[str, Affine]:
    """The same rows without the terms in which nothing is left; every block keeps one."""
    return {name: replace(a, terms=_filled(a)) for name, a in affines.items()}


def _filled(affine: Affine) -> tuple[Term, ...]:
    filled = tuple(t for t in affine.terms if t.weight is None or t.weight.nnz)
    return filled or affine.terms[:1]
