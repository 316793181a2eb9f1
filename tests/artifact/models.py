"""Hand-made models for tests, and their comparison."""

from dataclasses import fields, is_dataclass

import numpy as np
from scipy import sparse

from sim_compress.activations import IDENTITY, Activation
from sim_compress.model import (
    Affine,
    AlongAxis,
    ImplicitModel,
    Input,
    Lookup,
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
    picking,
)

CONV = Patches((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
POOL = {"kernel": (2, 2), "strides": (2, 2), "dilations": (1, 1), "pads_begin": (0, 0), "pads_end": (0, 0)}


def weights(rows: int, columns: int, density: float, groups: int = 1, seed: int = 0) -> sparse.csr_array:
    """A random (rows, columns) float32 matrix with nonzeros inside its groups only."""
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < density)
    row_groups = np.arange(rows) // (rows // groups)
    column_groups = np.arange(columns) // (columns // groups)
    return sparse.csr_array((dense * (row_groups[:, None] == column_groups)).astype(np.float32))


def column(rows: int, seed: int = 0) -> np.ndarray:
    """A float32 bias."""
    return np.random.default_rng(seed).standard_normal(rows).astype(np.float32)


def feedforward_model() -> ImplicitModel:
    """Every map, a layout of each kind, groups, skips, pooling, tied rows on axis 1, three outputs."""
    conv = Affine((8, 8, 8), (Term("image", (CONV,), weights(8, 27, 0.2)),), column(8))
    pool = Affine((8, 8, 8), (Term("conv"),))
    constants = (Scale(np.float32(0.1) * np.ones((8, 1, 1), np.float32)), Offset(np.array(0.1)))
    grouped = Affine(
        (8, 4, 4),
        (Term("pool", (CONV,), weights(8, 72, 0.5, groups=4), groups=4), Term("pool", constants)),
    )
    tail = (Reshape((512,)), Slice((12,), (500,), (1,)))
    dense = Affine(
        (6,),
        (Term("conv", tail, weights(6, 500, 0.02)), Term("extra", (), weights(6, 55, 1.0))),
        column(6),
    )
    flat = (Reshape((8, 16)), Pad((0, 1), (0, 0)), Slice((7, 1), (8, 16), (-1, 1)))
    tokens = Affine((16, 5), (Term("grouped", flat, weights(5, 8, 0.4)),), column(5, 1), row_axis=1)
    mixed = (AlongAxis(0, weights(4, 16, 0.4)), picking(0, [3, -1, 0, 0], 4))
    scores = Affine(
        (5,),
        (
            Term("tokens", (Transpose((1, 0)), Sum((1,)), Scale(np.full(5, 0.1))), None),
            Term("tokens", (*mixed, Sum((0,)))),
        ),
    )
    linear = Affine((2,), (Term("extra", (), weights(2, 55, 0.6)), Term("dense", (), weights(2, 6, 0.5))))
    return ImplicitModel(
        (Input("image", (3, 8, 8)), Input("extra", (55,), "float64")),
        (
            StateBlock("conv", conv, Activation("relu")),
            StateBlock("pool", pool, Activation("max_pool", POOL)),
            StateBlock("grouped", grouped, Activation("leaky_relu", {"slope": 0.1})),
            StateBlock("dense", dense, Activation("clip", {"low": 0.0, "high": float("inf")})),
            StateBlock("tokens", tokens, Activation("sigmoid")),
        ),
        (
            Output("scores", scores),
            Output("linear", linear),
            Output("logits", Affine((6,), (Term("dense"),), column(6, 2))),
        ),
    )


def looped_model() -> ImplicitModel:
    """Two blocks that read each other, with |A| small enough for a norm certificate."""
    small = weights(4, 4, 0.7) * np.float32(0.1)
    first = Affine((4, 3), (Term("u", (), weights(4, 2, 0.8)), Term("second", (), small)), column(4))
    second = Affine((4, 3), (Term("first", (), small.copy()),))
    return ImplicitModel(
        (Input("u", (2, 3)),),
        (
            StateBlock("first", first, Activation("relu")),
            StateBlock("second", second, Activation("tanh")),
        ),
        (Output("y", Affine((4, 3), (Term("second"),))),),
    )


def same(a: object, b: object) -> bool:
    """Whether two models, or parts of them, hold the same types and values."""
    if isinstance(a, sparse.csr_array) and isinstance(b, sparse.csr_array):
        return all(same(getattr(a, key), getattr(b, key)) for key in ("data", "indices", "indptr", "_shape"))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if is_dataclass(a) and type(a) is type(b):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def gated_model() -> ImplicitModel:
    """A phi of two parts, one along axes and one with an array as attribute."""
    size = 12
    gated = Affine((2 * size,), (Term("u", (Reshape((size,)), Pad((0,), (size,)))), Term("norm", FLAT)))
    slopes = {"slopes": np.linspace(-1, 1, 4, dtype=np.float32)}
    return ImplicitModel(
        (Input("u", (3, 4)),),
        (
            StateBlock("norm", Affine((3, 4), (Term("u"),)), Activation("softmax", {"axes": (1,)})),
            StateBlock("gate", gated, Activation("product", {"parts": ((3, 4), (3, 4))})),
            StateBlock("bent", Affine((3, 4), (Term("gate"),)), Activation("prelu", slopes)),
        ),
        (Output("y", Affine((3, 4), (Term("bent"),))),),
    )


FLAT = (Reshape((12,)), Pad((12,), (0,)))


def embeddings(tied: bool = True) -> ImplicitModel:
    """Three ids, their rows summed, and scores of all ids by the same rows."""
    E = weights(12, 6, 0.5)
    block = StateBlock("h", Affine((6,), (Term("ids", (Lookup(E), Sum((0,)))),)), Activation(IDENTITY))
    scores = Affine((12,), (Term("h", (), E if tied else weights(12, 6, 0.5, seed=1)),), column(12))
    return ImplicitModel((Input("ids", (3,), "int64"),), (block,), (Output("y", scores),))
