"""Hand-made implicit models that tests of several packages share."""

import numpy as np
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.model import (
    Affine,
    ImplicitModel,
    Input,
    Offset,
    Output,
    Pad,
    Patches,
    Reshape,
    Scale,
    Slice,
    StateBlock,
    Sum,
    Term,
    Transpose,
    matrices,
    weight_shape,
)

POOL = {"kernel": (2, 2), "strides": (2, 2), "dilations": (1, 1), "pads_begin": (0, 0), "pads_end": (0, 0)}


def weight(rows: int, features: int, density: float = 0.6, seed: int = 0) -> sparse.csr_array:
    """Random sparse rows in float32."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((rows, features)) * (rng.random((rows, features)) < density)
    return sparse.csr_array(W.astype(np.float32))


def bias(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(rows).astype(np.float32)


def patches(kernel: int, stride: int = 1, pad: int = 0) -> Patches:
    return Patches((kernel,) * 2, (stride,) * 2, (1, 1), (pad,) * 2, (pad,) * 2)


def residual_network() -> ImplicitModel:
    """Convolution, grouped convolution with a padded skip, pooling, token-wise rows, two outputs."""
    relu = Activation("relu")
    stem = Affine((4, 6, 6), (Term("u", (Scale(np.array(0.5)), patches(3, 1, 1)), weight(4, 18)),), bias(4))
    grouped = np.zeros((6, 36), np.float32)
    grouped[:3, :18], grouped[3:, 18:] = weight(3, 18).toarray(), weight(3, 18, seed=1).toarray()
    block = Affine(
        (6, 3, 3),
        (
            Term("stem", (patches(3, 2, 1),), sparse.csr_array(grouped), groups=2),
            Term("stem", (Slice((0, 0, 0), (4, 3, 3), (1, 2, 2)), Pad((1, 0, 0), (1, 0, 0)))),
        ),
        bias(6, 1),
    )
    pooled = Affine((6, 2, 2), (Term("block", (Slice((0, 0, 0), (6, 2, 2), (1, 1, 1)),)),))
    tokens = Affine(
        (3, 5),
        (Term("block", (Reshape((6, 3, 3)), Sum((2,)), Offset(np.arange(3.0))), weight(5, 6, seed=2)),),
        bias(5),
        row_axis=1,
    )
    score = Affine(
        (3,),
        (
            Term("tokens", (Transpose((1, 0)), Reshape((15,))), weight(3, 15, seed=3)),
            Term("u", (Sum((1, 2)), Scale(np.array([0.1, -0.2]))), weight(3, 2, seed=4)),
        ),
        bias(3),
    )
    return ImplicitModel(
        (Input("u", (2, 6, 6)),),
        (
            StateBlock("stem", stem, relu),
            StateBlock("block", block, relu),
            StateBlock("pooled", pooled, Activation("max_pool", POOL)),
            StateBlock("tokens", tokens, Activation("tanh")),
        ),
        (Output("scores", score), Output("peak", Affine((6, 1, 1), (Term("pooled"),)))),
    )


def loop(norm: float = 0.5, size: int = 8) -> ImplicitModel:
    """X = relu(A X + B U) with |A|_inf = norm, and a linear read-out."""
    A = weight(size, size, 0.7)
    A.data *= np.float32(norm) / abs(A).sum(axis=1).max()
    state = Affine((size,), (Term("x", (), A), Term("u", (), weight(size, 3, 1.0, 1))), bias(size))
    return ImplicitModel(
        (Input("u", (3,)),),
        (StateBlock("x", state, Activation("relu")),),
        (Output("y", Affine((2,), (Term("x", (), weight(2, size, 1.0, 2)),), bias(2))),),
    )


def picard_on_matrices(model: ImplicitModel, inputs: np.ndarray, iterations: int = 60) -> np.ndarray:
    """Outputs, stacked, of plain Picard iteration on the unrolled matrices for one input (samples, ...)."""
    A, B, C, D = matrices(model)
    samples = len(inputs)
    U = np.vstack([inputs.reshape(samples, -1).T.astype(np.float64), np.ones((1, samples))])
    sizes = [int(np.prod(b.affine.shape)) for b in model.blocks]
    X = np.zeros((weight_shape(A)[1], samples))
    for _ in range(iterations):
        Z = A @ X + B @ U
        parts = np.split(Z, np.cumsum(sizes)[:-1])
        X = np.vstack(
            [
                b.phi(z.reshape(*b.affine.shape, samples)).reshape(-1, samples)
                for b, z in zip(model.blocks, parts, strict=True)
            ]
        )
    return C @ X + D @ U
