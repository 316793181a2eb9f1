"""Rescaling of states: the same network in other coordinates (SIM section 3).

With x'_b = c_b x_b every row of block b is multiplied by c_b and every column that reads block b divided by
it. For positively homogeneous phi outputs do not change, and |A| can be brought to any norm.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sim_compress.errors import InputError
from sim_compress.model.implicit import Affine, ImplicitModel, Term
from sim_compress.model.maps import Lookup, Offset, Scale


def rescaled(model: ImplicitModel, factors: Mapping[str, float]) -> ImplicitModel:
    """The model whose state of block b is factors[b] times the original; outputs are the same.

    Args:
        model: phi of every rescaled block must be positively homogeneous.
        factors: block name -> c > 0; blocks left out keep their scale.

    Raises:
        InputError: a factor is not positive, names no block, or its block's phi is not homogeneous.
    """
    blocks = {b.name: b for b in model.blocks}
    for name, factor in factors.items():
        if name not in blocks:
            raise InputError(f"cannot rescale {name!r}: the model has no such block")
        if not factor > 0 or not np.isfinite(factor):
            raise InputError(f"cannot rescale block {name!r} by {factor}: expected a positive number")
        if not blocks[name].phi.kind.homogeneous and factor != 1:
            raise InputError(f"cannot rescale block {name!r}: {blocks[name].phi.name} is not homogeneous")
    return replace(
        model,
        blocks=tuple(
            replace(b, affine=_rescaled(b.affine, factors.get(b.name, 1.0), factors)) for b in model.blocks
        ),
        outputs=tuple(replace(o, affine=_rescaled(o.affine, 1.0, factors)) for o in model.outputs),
    )


def _rescaled(affine: Affine, own: float, factors: Mapping[str, float]) -> Affine:
    bias = None if affine.bias is None else (affine.bias * own).astype(np.float32)
    return replace(
        affine, bias=bias, terms=tuple(_term(t, own, factors.get(t.source, 1.0)) for t in affine.terms)
    )


def _term(term: Term, own: float, source: float) -> Term:
    """A term between rescaled ends; where its chain is not linear the source is brought back first."""
    offset = any(isinstance(m, Offset | Lookup) for m in term.maps)
    if own == source == 1:
        return term
    maps = (Scale(np.array(1 / source)), *term.maps) if offset and source != 1 else term.maps
    left = own if offset else own / source
    if term.weight is not None:
        return replace(term, maps=maps, weight=(term.weight * left).astype(np.float32))
    return replace(term, maps=maps if left == 1 else (*maps, Scale(np.array(left))))
