"""Matrix products with a constant: tied rows, shared by all tokens where there are any."""

import numpy as np

from sim_compress.frontend.axes.rules.einsum import einsum
from sim_compress.frontend.axes.rules.gemm import gemm as gemm_axes
from sim_compress.frontend.axes.rules.products import matmul as matmul_axes
from sim_compress.frontend.operators.combining import matrix_product
from sim_compress.frontend.registry import Call, RefusalError, Result, operator, rewritten
from sim_compress.frontend.terms.broadcasting import broadcast, stretched
from sim_compress.frontend.terms.expressions import scaled, shifted, summed
from sim_compress.frontend.terms.rows import finite, rows_of
from sim_compress.model import Affine, Shape, Transpose
from sim_compress.model.maps import Array


def _product(x: Affine, axis: int, weight: Array, shape: Shape) -> Affine:
    """weight (rows, k) on axis `axis` (of size k) of an unweighted expression."""
    if x.shape[axis] != weight.shape[1]:
        raise RefusalError(f"weight {weight.shape} on {x.shape[axis]} features")
    order = (axis, *(a for a in range(len(x.shape)) if a != axis))
    return rows_of(x, (Transpose(order),) if axis else (), weight, shape, axis)


@operator(
    "Gemm",
    gemm_axes,
    becomes="rows",
    limits="one side is a constant",
)
def gemm(call: Call) -> Affine:
    weight = call.constant(1)
    rows = weight if call.attribute("transB", 0) else weight.T
    alpha = np.float32(call.attribute("alpha", 1.0))
    x = call.joined(0, axis=0)
    z = _product(x, 0, rows if alpha == 1 else rows * alpha, (len(rows),))
    if not call.has(2):
        return z
    beta = np.asarray(call.attribute("beta", 1.0), np.float32)
    if call.is_constant(2):
        return shifted(z, finite(call.constant(2)) * beta)
    added = call.affine(2)
    if added.row_axis or added.shape != z.shape:
        added = stretched(call.unweighted(2), broadcast([added.shape, z.shape]))
    return summed([z, scaled(added, beta)])


@operator(
    "MatMul",
    matmul_axes,
    becomes="tied rows, one per output feature, shared by all tokens",
    limits="of two activations: state block with phi = matmul",
)
def matmul(call: Call) -> Result:
    if not (call.is_constant(0) or call.is_constant(1)):
        return matrix_product(call)
    if call.is_constant(0):
        return _constant_on_the_left(call)
    rank = len(call.affine(0).shape)
    weight = call.constant(1)
    x = call.joined(0, axis=rank - 1)
    return _product(x, rank - 1, weight.T, (*x.shape[:-1], weight.shape[1]))


def _constant_on_the_left(call: Call) -> Affine:
    rank = len(call.affine(1).shape)
    weight = call.constant(0)
    x = call.joined(1, axis=rank - 2)
    return _product(x, rank - 2, weight, (*x.shape[:-2], len(weight), x.shape[-1]))


rewritten(
    "Einsum",
    einsum,
    "linear",
    becomes="transposes, sums, and tied rows or the product of two activations",
    limits="at most two operands, none with one axis twice; the samples are kept apart",
)
