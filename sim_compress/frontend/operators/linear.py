"""Matrix products with a constant: tied rows, shared by all tokens where there are any."""

import numpy as np

from sim_compress.frontend.expressions import aligned, mapped, scaled, shifted, summed, tied_rows
from sim_compress.frontend.operators.combining import matrix_product
from sim_compress.frontend.registry import Call, RefusalError, Result, operator
from sim_compress.model import Affine, Shape, Term, Transpose
from sim_compress.model.maps import Array


def _product(x: Affine, axis: int, weight: Array, shape: Shape, row_axis: int) -> Affine:
    """weight (rows, k) on axis `axis` (of size k) of a single-term expression."""
    order = (axis, *(a for a in range(len(x.shape)) if a != axis))
    features = mapped(x, Transpose(order)) if axis else x
    if features.shape[0] != weight.shape[1]:
        raise RefusalError(f"weight {weight.shape} on {features.shape[0]} features")
    term = features.terms[0]
    return Affine(shape, (Term(term.source, term.maps, tied_rows(weight)),), None, row_axis)


@operator(
    "Gemm",
    becomes="rows",
    limits="B is a constant; alpha, beta, transB; transA would move the batch and is refused",
)
def gemm(call: Call) -> Affine:
    x, weight = call.single(0), call.constant(1)
    if call.attribute("transA", 0):
        raise RefusalError("transposes the batch axis (transA=1)")
    rows = weight if call.attribute("transB", 0) else weight.T
    rows = rows * np.float32(call.attribute("alpha", 1.0))
    z = _product(x, 0, rows, (len(rows),), 0)
    if not call.has(2):
        return z
    beta = np.asarray(call.attribute("beta", 1.0), np.float32)
    if call.is_constant(2):
        return shifted(z, aligned(call.constant(2) * beta, z.shape))
    return summed([z, scaled(call.affine(2), beta)])


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
    x = call.single(0)
    rank = len(x.shape)
    if rank < 1:
        raise RefusalError("multiplies along the batch axis")
    weight = _matrix(call.constant(1), rank)
    return _product(x, rank - 1, weight.T, (*x.shape[:-1], weight.shape[1]), rank - 1)


def _constant_on_the_left(call: Call) -> Affine:
    x = call.single(1)
    rank = len(x.shape)
    if rank < 2:
        raise RefusalError("multiplies along the batch axis")
    weight = _matrix(call.constant(0), rank)
    return _product(x, rank - 2, weight, (*x.shape[:-2], len(weight), x.shape[-1]), rank - 2)


def _matrix(constant: Array, rank: int) -> Array:
    """A constant that is one matrix, behind axes of size 1 that add none to an activation of this rank."""
    if not 2 <= constant.ndim <= rank + 1 or constant.size != constant.shape[-2] * constant.shape[-1]:
        raise RefusalError(f"its constant of shape {constant.shape} is not one matrix")
    return constant.reshape(constant.shape[-2:])
