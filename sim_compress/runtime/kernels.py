"""The scipy kernel: z of one block from the values of its sources.

The reference that every faster kernel is tested against: tied rows times rearranged features.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import sparse

from sim_compress.model import Affine, Term, apply_chain, weight_shape
from sim_compress.model.maps import Array

# Above this part of nonzeros BLAS is faster, even with the dense copy of the weight that it needs.
MOSTLY_DENSE = 0.5

# A weight (rows, features) times features (features, points), and its number of groups.
Product = Callable[[sparse.csr_array, Array, int], Array]


def sparse_product(weight: sparse.csr_array, features: Array, _groups: int) -> Array:
    """weight @ features with scipy's CSR kernel, by BLAS where most entries are there."""
    rows, columns = weight_shape(weight)
    mostly_dense = weight.nnz > MOSTLY_DENSE * rows * columns and features.shape[1] > 1
    # The zeros of a dense copy would carry what is not finite into rows that do not read it.
    if mostly_dense and np.isfinite(features).all():
        return weight.toarray() @ features
    return weight @ features


def preactivation(affine: Affine, values: Mapping[str, Array], product: Product = sparse_product) -> Array:
    """z = sum of terms + bias.

    Args:
        affine: the block's rows of A and B (or C and D).
        values: source name -> array (*shape, samples).
        product: how a weight meets its features.

    Returns:
        z of shape (*affine.shape, samples), a fresh array.
    """
    samples = values[affine.terms[0].source].shape[-1]
    z = np.zeros((*affine.shape, samples), np.float32)
    for term in affine.terms:
        z += term_value(affine, term, values, product)
    if affine.bias is not None:
        # Rows on their own axis, then positions and samples behind it broadcast.
        z += affine.bias.reshape(-1, *(1,) * (z.ndim - 1 - affine.row_axis))
    return z


def term_value(
    affine: Affine, term: Term, values: Mapping[str, Array], product: Product = sparse_product
) -> Array:
    """One term's part of z, (*affine.shape, samples); without a weight it may be a view of the source."""
    features = apply_chain(term.maps, values[term.source])
    if term.weight is None:
        return features
    rows = product(term.weight, features.reshape(features.shape[0], -1), term.groups)
    return affine.placed(rows, features.shape[-1])
