"""Every phi has an exporter, and its nodes do what it does."""

from typing import Any

import numpy as np
import pytest

from sim_compress.activations import KINDS, Activation
from sim_compress.export.phis import PARTS_NODES, PHI_NODES
from sim_compress.model import Affine, ImplicitModel, Input, Output, Pad, Reshape, StateBlock, Term
from tests.export.test_network import assert_same

SHAPE = (4, 6, 5)
WINDOWS = {"strides": (2, 1), "dilations": (1, 2), "pads_begin": (1, 0), "pads_end": (0, 2)}
ATTRIBUTES: dict[str, list[dict[str, Any]]] = {
    "leaky_relu": [{"slope": 0.2}],
    "clip": [{"low": -0.5, "high": 1.5}, {"low": 1.0, "high": -1.0}, {"low": 0.0, "high": float("inf")}],
    "max_pool": [
        {"kernel": (3, 2), **WINDOWS},
        {"kernel": (2, 2), **WINDOWS, "dilations": (2, 2), "pads_begin": (2, 2)},
    ],
    "prelu": [{"slopes": np.array([0.1, 0.2, -0.3, 0.4]).reshape(4, 1, 1)}, {"slopes": np.array(0.3)}],
    "thresholded_relu": [{"alpha": 0.7}],
    "elu": [{"alpha": 1.3}],
    "selu": [{"alpha": 1.67, "gamma": 1.05}],
    "celu": [{"alpha": 0.8}],
    "swish": [{"alpha": 1.0}, {"alpha": 1.7}],
    "shrink": [{"lambda": 0.5, "bias": 0.3}],
    "hard_sigmoid": [{"alpha": 0.2, "beta": 0.4}],
    "power": [{"exponent": 3.0}],
    "lp_norm": [{"axes": (1,), "p": 1, "epsilon": 0.0}, {"axes": (2,), "p": 2, "epsilon": 1e-6}],
    "lrn": [{"size": 3, "alpha": 0.1, "beta": 0.7, "bias": 1.0}],
    "layer_norm": [
        {"axes": (2,), "epsilon": 1e-5},
        {"axes": (1, 2), "epsilon": 0.1},
        {"axes": (0,), "epsilon": 1e-5},
    ],
    "rms_norm": [{"axes": (2,), "epsilon": 1e-5}],
    "arg_max": [{"axes": (1,)}],
}
AXES = [{"axes": (0,)}, {"axes": (2,)}, {"axes": (0, 2)}]
# Functions that need positive numbers, or numbers between -1 and 1.
POSITIVE = {"log", "sqrt", "power", "reduce_log_sum", "raised"}
SMALL = {"asin", "acos", "atanh", "tan"}
ABOVE_ONE = {"acosh"}
PARTS: dict[str, tuple[tuple[int, ...], ...]] = {
    "matmul": ((3, 2, 4), (4, 5)),
    "where": ((4, 1), (3, 4, 5), (5,)),
}


def attributes(name: str) -> list[dict[str, Any]]:
    if name in ATTRIBUTES:
        return ATTRIBUTES[name]
    return AXES if "axes" in KINDS[name].attributes else [{}]


def inputs(name: str, shape: tuple[int, ...]) -> np.ndarray:
    z = 2 * np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    if name in SMALL:
        return np.tanh(z) * np.float32(0.9)
    if name in ABOVE_ONE:
        return np.abs(z) + 1
    return np.abs(z) + np.float32(0.1) if name in POSITIVE else z


def test_every_phi_has_an_exporter():
    assert set(PHI_NODES) | set(PARTS_NODES) >= set(KINDS)


CASES = [(name, a) for name in sorted(set(PHI_NODES) & set(KINDS)) for a in attributes(name)]


@pytest.mark.parametrize(("name", "a"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_a_phi_gives_what_it_gives_in_the_runtime(name, a):
    block = StateBlock("x", Affine(SHAPE, (Term("u"),)), Activation(name, a))
    model = ImplicitModel((Input("u", SHAPE),), (block,), (Output("y", Affine(block.shape, (Term("x"),))),))
    assert_same(model, {"u": inputs(name, SHAPE)})


@pytest.mark.parametrize("flat", [True, False], ids=["one flat input", "one input a part"])
@pytest.mark.parametrize("name", sorted(set(PARTS_NODES) & set(KINDS)))
def test_a_phi_of_several_tensors_gives_what_it_gives_in_the_runtime(name, flat):
    parts = PARTS.get(name, ((2, 3, 4), (3, 1)))
    sizes = [int(np.prod(p)) for p in parts]
    total, starts = sum(sizes), np.cumsum([0, *sizes])
    if flat:
        sources, terms = {"u": (total,)}, (Term("u"),)
    else:
        sources = {f"u{i}": part for i, part in enumerate(parts)}
        terms = tuple(
            Term(n, (Reshape((size,)), Pad((int(start),), (int(total - start - size),))))
            for n, size, start in zip(sources, sizes, starts, strict=False)
        )
    block = StateBlock("x", Affine((total,), terms), Activation(name, {"parts": parts}))
    model = ImplicitModel(
        tuple(Input(n, s) for n, s in sources.items()),
        (block,),
        (Output("y", Affine(block.shape, (Term("x"),))),),
    )
    assert_same(model, {n: inputs(name, s) for n, s in sources.items()})
