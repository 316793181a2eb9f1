"""Values equal those of the scipy kernel, gradients equal finite differences and those of torch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_compress.activations import KINDS, Activation
from sim_compress.errors import InputError
from sim_compress.model import (
    Affine,
    ImplicitModel,
    Input,
    LinearMap,
    Lookup,
    Output,
    Reshape,
    Scale,
    StateBlock,
    Term,
    Transpose,
)
from sim_compress.model.maps import chain_shape
from sim_compress.runtime import Session
from sim_compress.runtime.reverse.lanes import Floats, entries, shaped
from sim_compress.runtime.reverse.network import Network, Pass
from sim_compress.runtime.reverse.phis import IN_PLACE, RULES
from sim_compress.runtime.reverse.rule import no_gradient
from sim_compress.runtime.reverse.tied_code import LANES
from tests.model.test_maps import CHAINS, SHAPE
from tests.networks import bias, loop, residual_network, weight
from tests.runtime.phi_models import every_phi, phi_model

Arrays = dict[str, np.ndarray]
# Sums of some products in float32, in another order.
ROUNDING = 1e-5
# A finite difference of sums in float32: the step is a compromise with their rounding.
STEP, DIFFERENCE = 1e-2, 2e-2
SAMPLES = 7
# Phis of steps: their gradient is zero, a difference would see the jumps.
STEPS = {name for name, rule in RULES.items() if rule is no_gradient}
# A difference sees the jump beside which its slope is 1.
JUMPS = {"shrink"}


def inputs(model: ImplicitModel, samples: int = SAMPLES) -> Arrays:
    rng = np.random.default_rng(samples)
    return {i.name: rng.standard_normal((samples, *i.shape)).astype(i.dtype) for i in model.inputs}


def evaluated(network: Network, fed: Arrays) -> tuple[Pass, dict[str, Floats]]:
    run = Pass(network)
    run.begin(fed)
    return run, {name: run.evaluate(name) for name in network.names}


def coefficients(found: dict[str, Floats], samples: int) -> dict[str, Floats]:
    """Of a random linear function of everything that the samples have."""
    rng = np.random.default_rng(0)
    made = {}
    for name, x in found.items():
        made[name] = g = entries(len(x) - 1)
        g.fill(0)
        g[:-1, :samples] = rng.standard_normal((len(g) - 1, samples))
    return made


def value(network: Network, fed: Arrays, coefficient: dict[str, Floats]) -> float:
    _, found = evaluated(network, fed)
    return sum(float((found[n][:-1] * g[:-1]).sum(dtype=np.float64)) for n, g in coefficient.items())


def assert_gradients_are_differences(model: ImplicitModel, fed: Arrays, step: float = STEP) -> None:
    """Along random directions, and that they are not all zero."""
    network = Network(model)
    run, found = evaluated(network, fed)
    coefficient = coefficients(found, len(next(iter(fed.values()))))
    owners = [n for n in network.names if model.owns(n)]
    gradients = run.backward({n: _copied(g) for n, g in coefficient.items()}, owners)
    parameters = [p for n in owners for p in network.rows[n].parameters]
    flat = [g for n in owners for g in gradients[n]]
    assert any(np.any(g) for g in flat)
    rng, starts = np.random.default_rng(1), [p.copy() for p in parameters]
    for _ in range(3):
        directions = [step * rng.standard_normal(p.shape).astype(np.float32) for p in parameters]
        ends = []
        for sign in (1, -1):
            for p, start, d in zip(parameters, starts, directions, strict=True):
                p[:] = start + sign * d
            ends.append(value(network, fed, coefficient))
        wanted = (ends[0] - ends[1]) / 2
        terms = [g.astype(np.float64) * d for g, d in zip(flat, directions, strict=True)]
        size = np.sqrt(sum(float((t**2).sum()) for t in terms))
        assert abs(wanted - sum(float(t.sum()) for t in terms)) <= DIFFERENCE * size + ROUNDING * abs(ends[0])


def _copied(g: Floats) -> Floats:
    made = entries(len(g) - 1)
    made[:] = g
    return made


def assert_values_are_those_of_scipy(model: ImplicitModel, fed: Arrays) -> None:
    samples = len(next(iter(fed.values())))
    _, found = evaluated(Network(model), fed)
    for name, wanted in Session(model, kernel="scipy").predict(fed).items():
        got = np.moveaxis(shaped(found[name], wanted.shape[1:])[..., :samples], -1, 0)
        np.testing.assert_allclose(got, wanted, rtol=ROUNDING, atol=ROUNDING * abs(wanted).max())


@pytest.mark.parametrize("samples", [1, 5, LANES])
def test_a_residual_network(samples: int):
    model = residual_network()
    assert_values_are_those_of_scipy(model, inputs(model, samples))
    assert_gradients_are_differences(model, inputs(model, samples), step=1e-3)


def test_rows_with_several_uses_have_the_sum_of_their_gradients():
    rows = Affine((6,), (Term("u", (), weight(6, 6)),), bias(6))
    blocks = [StateBlock("h0", rows, Activation("tanh"))]
    for i in range(1, 4):
        step = replace(rows, terms=(replace(rows.terms[0], source=f"h{i - 1}"),))
        blocks.append(StateBlock(f"h{i}", step, Activation("tanh")))
    scores = Output("y", Affine((2,), (Term("h3", (), weight(2, 6)),)))
    model = ImplicitModel((Input("u", (6,)),), tuple(blocks), (scores,))
    assert model.uses("h0") == ("h0", "h1", "h2", "h3")
    assert_values_are_those_of_scipy(model, inputs(model))
    assert_gradients_are_differences(model, inputs(model))


@pytest.mark.parametrize("samples", [1, 5, LANES])
def test_rows_that_ids_are_looked_up_in_have_the_gradients_of_both_uses(samples: int):
    E = weight(9, 6)
    first = Affine((6, 4), (Term("ids", (Lookup(E), Transpose((1, 0)))),))
    # A map that computes, behind ids of another shape, in a block with rows of its own.
    maps = (Reshape((2, 2)), Lookup(E), Scale(np.float32(0.5) * np.ones(6, np.float32)), Transpose((2, 0, 1)))
    mixed = Affine((3, 2, 2), (Term("ids", maps, weight(3, 6)),), bias(3))
    blocks = (StateBlock("x", first, Activation("tanh")), StateBlock("m", mixed, Activation("tanh")))
    scores = Affine((9, 4), (Term("x", (), E), Term("m", (Reshape((3, 4)),), weight(9, 3))), bias(9))
    model = ImplicitModel((Input("ids", (4,), "int64"),), blocks, (Output("y", scores),))
    assert model.readers == {"y": ("x", "m")}
    fed = {"ids": np.random.default_rng(0).integers(-9, 9, (samples, 4))}
    assert_values_are_those_of_scipy(model, fed)
    assert_gradients_are_differences(model, fed)
    network = Network(model)
    network.rows["y"].parameters[0][:] *= 2
    doubled = network.model()
    assert doubled.readers == model.readers
    np.testing.assert_array_equal(doubled.blocks[0].affine.lookups[0].dense_rows(), 2 * E.toarray())


@pytest.mark.parametrize(("name", "a"), every_phi())
def test_every_phi(name: str, a: dict[str, Any]):
    model, fed = phi_model(name, a, weighted=True)
    assert_values_are_those_of_scipy(model, fed)
    network = Network(model)
    run, found = evaluated(network, fed)
    gradients = run.backward(coefficients(found, len(next(iter(fed.values())))), network.names)
    empty = "low" in a and a["low"] > a["high"]
    if name in STEPS or empty:
        assert not any(g.any() for g in gradients["x"])
    elif name not in JUMPS:
        assert_gradients_are_differences(model, fed, step=1e-3)


def test_every_rule_is_of_a_phi():
    assert {*RULES, *IN_PLACE} <= set(KINDS)


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("weighted", [True, False])
def test_every_chain_of_maps(chain: tuple[LinearMap, ...], weighted: bool):
    out = chain_shape(chain, SHAPE)
    own = weight(3, out[0]) if weighted else None
    first = Affine(SHAPE, (Term("u", (), weight(SHAPE[0], SHAPE[0])),), bias(SHAPE[0]))
    second = Affine((3, *out[1:]) if weighted else out, (Term("x", chain, own),))
    model = ImplicitModel(
        (Input("u", SHAPE),), (StateBlock("x", first, Activation("tanh")),), (Output("y", second),)
    )
    assert_values_are_those_of_scipy(model, inputs(model))
    assert_gradients_are_differences(model, inputs(model))


def test_rows_along_another_axis_and_a_source_of_several_terms():
    shape = (4, 3)
    first = Affine(shape, (Term("u", (), weight(4, 4)),))
    skip = Term("x", (Transpose((1, 0)),), weight(3, 3))
    second = Affine(shape, (skip, Term("x")), bias(3), row_axis=1)
    model = ImplicitModel(
        (Input("u", shape),), (StateBlock("x", first, Activation("sigmoid")),), (Output("y", second),)
    )
    assert_values_are_those_of_scipy(model, inputs(model))
    assert_gradients_are_differences(model, inputs(model))


def test_only_the_wanted_gradients_come():
    model = residual_network()
    network = Network(model)
    run, found = evaluated(network, inputs(model))
    last = network.names[-1]
    assert set(run.backward(coefficients(found, SAMPLES), [last])) == {last}


def test_the_memory_of_a_pass_is_used_again_without_a_trace():
    model = residual_network()
    network = Network(model)
    run, _ = evaluated(network, inputs(model, LANES))
    run.begin(inputs(model))
    again = {name: run.evaluate(name).copy() for name in network.names}
    _, fresh = evaluated(network, inputs(model))
    for name, x in fresh.items():
        np.testing.assert_array_equal(again[name], x)


def test_changed_values_come_back_as_a_model():
    model = residual_network()
    network = Network(model)
    for name in network.names:
        for parameter in network.rows[name].parameters:
            parameter[:] *= 2
    changed = network.model()
    for (_, before), (_, after) in zip(model.affines(), changed.affines(), strict=True):
        for one, other in zip(before.weights, after.weights, strict=True):
            np.testing.assert_array_equal(2 * one.toarray(), other.toarray())
    fresh = residual_network()
    for one, other in zip(model.blocks, fresh.blocks, strict=True):
        for now, then in zip(one.affine.weights, other.affine.weights, strict=True):
            np.testing.assert_array_equal(now.data, then.data)


def test_loops_are_refused():
    with pytest.raises(InputError, match="loops"):
        Network(loop())


def test_gradients_equal_those_of_torch():
    torch = pytest.importorskip("torch", reason="the extra 'torch' is not installed")
    model = residual_network()
    fed = inputs(model)
    network = Network(model)
    run, found = evaluated(network, fed)
    coefficient = coefficients(found, SAMPLES)
    module = Session(model).to_torch()
    values = module.everything({n: torch.tensor(u) for n, u in fed.items()})

    def part(name: str) -> Any:
        own = shaped(coefficient[name], tuple(values[name].shape[1:]))[..., :SAMPLES]
        return (values[name] * torch.tensor(np.moveaxis(own, -1, 0).copy())).sum()

    total = sum(map(part, coefficient))
    gradients = run.backward({n: _copied(g) for n, g in coefficient.items()}, network.names)
    for name in network.names:
        rows = dict(module.rows_of(name).named_parameters())
        if not rows:
            continue
        order = [p for _, p in sorted(rows.items(), key=lambda item: item[0] == "bias")]
        wanted = torch.autograd.grad(total, order, retain_graph=True)
        for own, other in zip(gradients[name], wanted, strict=True):
            np.testing.assert_allclose(own, other.numpy(), rtol=1e-3, atol=1e-4 * float(other.abs().max()))
