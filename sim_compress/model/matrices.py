"""The unrolled matrices A, B, C, D of a model, as in the paper's equations (1a) and (1b).

States are the pre-activations' rows z = A x + B u: A has one row per entry of z and one column per entry
of x (they differ in number where phi pools), blocks in model order. The last column of B and D meets
the constant input 1.
"""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.errors import InputError
from sim_compress.model.implicit import (
    Affine,
    ImplicitModel,
    Input,
    Output,
    StateBlock,
    Term,
    weight_shape,
)
from sim_compress.model.maps import LinearMap, Shape
from sim_compress.model.unrolling import chain_matrix, fan_in

MatrixLike = ArrayLike | sparse.sparray


class Matrices(NamedTuple):
    """Unrolled sparse matrices; columns of B and D: all inputs, then the constant 1."""

    A: sparse.csr_array
    B: sparse.csr_array
    C: sparse.csr_array
    D: sparse.csr_array


def matrices(model: ImplicitModel) -> Matrices:
    """Unroll the tied rows; `unrolled_bytes` tells what that takes (a ResNet-20 has 40 million nonzeros)."""
    state_names = [b.name for b in model.blocks]
    input_names = [i.name for i in model.inputs]
    A, B = _stack(model, [b.affine for b in model.blocks], state_names, input_names)
    C, D = _stack(model, [o.affine for o in model.outputs], state_names, input_names)
    return Matrices(A, B, C, D)


# Bytes of a nonzero of float64 with an index of 32 bits, and how many copies of a block's matrices are alive
# while they are multiplied and stacked (tests/model/test_matrices.py measures it).
NONZERO_BYTES = 12
COPIES = 4


def unrolled_bytes(model: ImplicitModel) -> int:
    """Bytes of memory that `matrices` takes at most, about."""
    counts = [
        sum(_unrolled_nonzeros(model, affine, term) for term in affine.terms) + 2 * prod(affine.shape)
        for _, affine in model.affines()
    ]
    rows = sum(prod(affine.shape) for _, affine in model.affines())
    return NONZERO_BYTES * (2 * sum(counts) + COPIES * max(counts, default=0) + rows)


def _unrolled_nonzeros(model: ImplicitModel, affine: Affine, term: Term) -> int:
    """The most that one term can have: entries of its result times those that each sums up."""
    fan = prod(fan_in(step, shape) for step, shape in _steps(term, model.shapes[term.source]))
    if term.weight is None:
        return prod(affine.shape) * fan
    features = max((prod(shape) * fan for _, shape in _steps(term, model.shapes[term.source])), default=0)
    return features + int(term.weight.nnz) * prod(affine.positions) * fan


def _steps(term: Term, shape: Shape) -> Iterator[tuple[LinearMap, Shape]]:
    """The maps of a term and the shape that each is given."""
    for step in term.maps:
        yield step, shape
        shape = step.out_shape(shape)


def from_matrices(
    A: MatrixLike,
    B: MatrixLike,
    C: MatrixLike,
    D: MatrixLike,
    phi: Activation,
    *,
    bias: ArrayLike | None = None,
    output_bias: ArrayLike | None = None,
) -> ImplicitModel:
    """The model of given matrices: one input `u` (p), one state block `x` (n), one output `y` (q).

    Args:
        A, B, C, D: (n, n), (n, p), (q, n), (q, p); dense or sparse, stored as float32.
        phi: gives a state of the pre-activation's shape.
        bias, output_bias: (n,) and (q,), the columns of B and D that meet the constant input 1.

    Raises:
        InputError: the shapes do not fit together.
    """
    a, b, c, d = (sparse.csr_array(M, dtype=np.float32) for M in (A, B, C, D))
    (n, _), (_, p), (q, _) = weight_shape(a), weight_shape(b), weight_shape(c)
    found = [weight_shape(M) for M in (a, b, c, d)]
    if found != [(n, n), (n, p), (q, n), (q, p)]:
        raise InputError(f"expected A (n, n), B (n, p), C (q, n), D (q, p), got {found}")
    state = Affine((n,), (Term("x", (), a), Term("u", (), b)), _column(bias))
    output = Affine((q,), (Term("x", (), c), Term("u", (), d)), _column(output_bias))
    return ImplicitModel((Input("u", (p,)),), (StateBlock("x", state, phi),), (Output("y", output),))


def _column(bias: ArrayLike | None) -> NDArray[np.float32] | None:
    return None if bias is None else np.asarray(bias, np.float32)


def _stack(
    model: ImplicitModel, affines: list[Affine], states: list[str], inputs: list[str]
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Rows of the given blocks, split into state columns and input columns."""
    left, right = [], []
    for affine in affines:
        parts, constant = unrolled(model, affine)
        size = int(np.prod(affine.shape))
        blank = {n: sparse.csr_array((size, int(np.prod(model.shapes[n])))) for n in (*states, *inputs)}
        merged = blank | parts
        # A block row without any state gives hstack nothing to join.
        left.append(sparse.hstack([sparse.csr_array((size, 0)), *(merged[n] for n in states)]))
        right.append(sparse.hstack([*(merged[n] for n in inputs), sparse.csr_array(constant[:, None])]))
    if not affines:
        width = sum(int(np.prod(model.shapes[n])) for n in inputs) + 1
        return sparse.csr_array((0, 0)), sparse.csr_array((0, width))
    return sparse.csr_array(sparse.vstack(left)), sparse.csr_array(sparse.vstack(right))


def unrolled(model: ImplicitModel, affine: Affine) -> tuple[dict[str, sparse.csr_array], np.ndarray]:
    """One block: source name -> matrix on vec(source), and the constant column."""
    # Row (r, p) of the tied product lands where moving the row axis back puts it.
    order = np.moveaxis(
        np.arange(int(np.prod(affine.shape))).reshape(affine.rows, *affine.positions), 0, affine.row_axis
    ).ravel()
    positions = int(np.prod(affine.positions))
    constant = np.zeros(int(np.prod(affine.shape)))
    if affine.bias is not None:
        constant += np.repeat(affine.bias.astype(np.float64), positions)[order]
    parts: dict[str, sparse.csr_array] = {}
    for term in affine.terms:
        L, offset = chain_matrix(term.maps, model.shapes[term.source])
        if term.weight is not None:
            W = sparse.kron(term.weight.astype(np.float64), sparse.eye_array(positions), format="csr")[order]
            L, offset = W @ L, W @ offset
        constant += offset
        L = sparse.csr_array(L)
        parts[term.source] = sparse.csr_array(parts[term.source] + L) if term.source in parts else L
    return parts, constant
