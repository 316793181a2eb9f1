"""Matrix products with a constant: tied rows, shared by all tokens where there are any."""

import numpy as np

from sim_compress.frontend.broadcasting import broadcast, per_sample, stretched
from sim_compress.frontend.expressions import scaled, shifted, summed
from sim_compress.frontend.operators.combining import matrix_product
from sim_compress.frontend.registry import Call, RefusalError, Result, operator
from sim_compress.frontend.rows import rows_of
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
    becomes="rows",
    limits="B is a constant; alpha, beta, transB; transA would move the batch and is refused",
)
def gemm(call: Call) -> Affine:
    if call.is_constant(0) or call.attribute("transA", 0):
        raise RefusalError("multiplies from the left, along the batch axis (transA=1 or A a constant)")
    weight = call.constant(1)
    rows = weight if call.attribute("transB", 0) else weight.T
    alpha = np.float32(call.attribute("alpha", 1.0))
    x = call.joined(0, axis=0)
    if len(x.shape) != 1:
        raise RefusalError(f"multiplies an activation of shape {('batch', *x.shape)}, which is no matrix")
    z = _product(x, 0, rows if alpha == 1 else rows * alpha, (len(rows),))
    if not call.has(2):
        return z
    beta = np.asarray(call.attribute("beta", 1.0), np.float32)
    if call.is_constant(2):
        return shifted(z, per_sample(call.constant(2), 1) * beta)
    added = call.affine(2)
    if added.row_axis or added.shape != z.shape:
        added = stretched(call.unweighted(2), broadcast([added.shape, z.shape]))
    return summed([z, scaled(added, beta)])


@operator(
    "MatMul",
    becomes="tied rows, one per output feature, shared by all tokens",
    limits="of two activations: state block with phi = matmul",
)
def matmul(call: Call) -> Result:
    if not (call.is_constant(0) or call.is_constant(1)):
        return matrix_product(call)
    if call.is_constant(0):
        return _constant_on_the_left(call)
    rank = len(call.affine(0).shape)
    if rank < 1:
        raise RefusalError("multiplies along the batch axis")
    weight = _matrix(call.constant(1), rank)
    x = call.joined(0, axis=rank - 1)
    return _product(x, rank - 1, weight.T, (*x.shape[:-1], weight.shape[1]))


def _constant_on_the_left(call: Call) -> Affine:
    rank = len(call.affine(1).shape)
    if rank < 2:
        raise RefusalError("multiplies along the batch axis")
    weight = _matrix(call.constant(0), rank)
    x = call.joined(1, axis=rank - 2)
    return _product(x, rank - 2, weight, (*x.shape[:-2], len(weight), x.shape[-1]))


def _matrix(constant: Array, rank: int) -> Array:
    """A constant that is one matrix, behind axes of size 1 that add none to an activation of this rank."""
    if not 2 <= constant.ndim <= rank + 1 or constant.size != constant.shape[-2] * constant.shape[-1]:
        raise RefusalError(f"its constant of shape {constant.shape} is not one matrix")
    return constant.reshape(constant.shape[-2:])


@operator(
    "Einsum",
    becomes="transposes, sums, and tied rows or the product of two activations",
    limits="at most two operands, none with one axis twice; the batch axis stays first",
)
def einsum(call: Call) -> Affine:
    raise RefusalError(
        f"its equation {call.attribute('equation')!r} is no contraction of at most two operands"
    )
