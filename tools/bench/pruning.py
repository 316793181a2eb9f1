"""Models with other weights, for benches that prune."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Affine, ImplicitModel


def thinned(
    model: ImplicitModel, kept: Callable[[sparse.csr_array], NDArray[np.bool_] | None]
) -> ImplicitModel:
    """The model without some entries of its weights.

    Args:
        model: what is pruned.
        kept: which stored entries of a weight stay, (nonzeros,); None for all of them.
    """

    def thin(weight: sparse.csr_array) -> sparse.csr_array:
        stays = kept(weight)
        if stays is None:
            return weight
        thinner = weight.copy()
        thinner.data = np.where(stays, weight.data, 0).astype(np.float32)
        thinner.eliminate_zeros()
        return thinner

    def thin_affine(affine: Affine) -> Affine:
        terms = (t if t.weight is None else replace(t, weight=thin(t.weight)) for t in affine.terms)
        return replace(affine, terms=tuple(terms))

    return replace(
        model,
        blocks=tuple(replace(b, affine=thin_affine(b.affine)) for b in model.blocks),
        outputs=tuple(replace(o, affine=thin_affine(o.affine)) for o in model.outputs),
    )
