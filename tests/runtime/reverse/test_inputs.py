"""Gradients for inputs equal differences, through loops too."""

from typing import Any

import numpy as np
import pytest

from sim_compress.activations import Activation
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term
from sim_compress.runtime import Session, Tolerance
from sim_compress.runtime.reverse.inputs import InputGradients
from sim_compress.runtime.reverse.tied_code import LANES
from tests.networks import bias, loop, residual_network, weight

Arrays = dict[str, np.ndarray]
# A difference of sums in float32: the step is a compromise with their rounding.
STEP, DIFFERENCE = 1e-2, 2e-2
EXACT = Tolerance(residual=1e-7)


def two_loops() -> ImplicitModel:
    """A loop of two blocks of different phi behind a block, a loop of one behind it, and a skip past both."""
    blocks = (
        StateBlock("first", Affine((6,), (Term("u", (), weight(6, 5)),), bias(6)), Activation("tanh")),
        StateBlock(
            "left",
            Affine(
                (4,), (Term("first", (), weight(4, 6, seed=1)), Term("right", (), 0.2 * weight(4, 3, seed=2)))
            ),
            Activation("relu"),
        ),
        StateBlock(
            "right",
            Affine((3,), (Term("left", (), 0.3 * weight(3, 4, seed=3)), Term("u", (), weight(3, 5, seed=4)))),
            Activation("sigmoid"),
        ),
        StateBlock(
            "last",
            Affine(
                (4,), (Term("last", (), 0.2 * weight(4, 4, seed=5)), Term("left", (), weight(4, 4, seed=6)))
            ),
            Activation("gelu"),
        ),
    )
    terms = (Term("last", (), weight(3, 4, seed=7)), Term("u", (), weight(3, 5, seed=8)))
    return ImplicitModel((Input("u", (5,)),), blocks, (Output("scores", Affine((3,), terms)),))


def assert_gradients_are_differences(model: ImplicitModel, samples: int) -> None:
    """Of a random linear function of all outputs, along random directions."""
    rng = np.random.default_rng(samples)
    fed = {i.name: rng.standard_normal((samples, *i.shape)).astype(i.dtype) for i in model.inputs}
    factors = {o.name: rng.standard_normal((samples, *o.shape)).astype(np.float32) for o in model.outputs}
    session = Session(model, EXACT, kernel="scipy")

    def value(inputs: Arrays) -> np.ndarray:
        outputs = session.predict(inputs)
        return np.sum([(outputs[n] * f).reshape(samples, -1).sum(axis=1) for n, f in factors.items()], axis=0)

    found = InputGradients(model, EXACT)(fed, lambda _: factors)
    assert set(found) == {i.name for i in model.inputs}
    for _ in range(3):
        way = {n: rng.standard_normal(u.shape).astype(np.float32) for n, u in fed.items()}
        ends = (value({n: u + s * STEP * way[n] for n, u in fed.items()}) for s in (1, -1))
        slope = np.subtract(*ends) / (2 * STEP)
        expected = sum((found[n] * way[n]).reshape(samples, -1).sum(axis=1) for n in way)
        size = np.abs(slope).max()
        assert size > 0.1
        np.testing.assert_allclose(expected, slope, atol=DIFFERENCE * size)


def test_gradients_through_a_network_without_loops_equal_those_of_torch():
    torch: Any = pytest.importorskip("torch")
    model = residual_network()
    (given,) = model.inputs
    u = np.random.default_rng(0).standard_normal((LANES, *given.shape)).astype(np.float32)
    found = InputGradients(model)({given.name: u}, lambda y: {n: np.cos(v) for n, v in y.items()})
    tensor = torch.tensor(u, requires_grad=True)
    outputs = Session(model).to_torch()(tensor).values()
    torch.stack([torch.sin(y).sum() for y in outputs]).sum().backward()
    np.testing.assert_allclose(found[given.name], tensor.grad.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 7])
def test_loops_are_differentiated_through_their_fixed_points(samples: int):
    assert_gradients_are_differences(two_loops(), samples)


def test_gradients_through_a_loop_equal_those_of_torch():
    torch: Any = pytest.importorskip("torch")
    model = loop()
    (given,) = model.inputs
    u = np.random.default_rng(0).standard_normal((9, *given.shape)).astype(np.float32)
    found = InputGradients(model, EXACT)({given.name: u}, lambda y: {n: np.cos(v) for n, v in y.items()})
    tensor = torch.tensor(u, requires_grad=True)
    outputs = Session(model, EXACT).to_torch()(tensor)
    torch.sin(outputs).sum().backward()
    np.testing.assert_allclose(found[given.name], tensor.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_a_sample_has_the_same_gradient_in_any_batch():
    model = two_loops()
    u = np.random.default_rng(0).standard_normal((LANES, 5)).astype(np.float32)
    gradients = InputGradients(model, EXACT)
    whole = gradients({"u": u}, lambda y: y)["u"]
    alone = gradients({"u": u[3:4]}, lambda y: y)["u"]
    np.testing.assert_allclose(alone, whole[3:4], rtol=1e-4, atol=1e-5)
