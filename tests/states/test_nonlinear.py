"""States of blocks that have no tensor of their own in the graph, and rows between them."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress import Settings, compress
from sim_compress.artifact import read
from sim_compress.certificate import verify
from sim_compress.runtime import Session
from sim_compress.states import ImplicitTeacher, open_teacher
from tests.frontend.graphs import graph_of, node, random, saved

# onnxruntime and numpy add in different orders and have their own exponentials.
ROUNDING = 1e-4
SHAPE = (5, 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A transformer's block: normalisation, attention, a masked choice and a gate between rows."""
    nodes = [
        node("LayerNormalization", ["x", "gamma", "beta"], ["n"], "norm"),
        node("MatMul", ["n", "wq"], ["q"], "query"),
        node("MatMul", ["n", "wk"], ["k"], "key"),
        node("MatMul", ["n", "wv"], ["v"], "value"),
        node("Transpose", ["k"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["q", "t"], ["s"], "scores"),
        node("Greater", ["s", "zero"], ["b"], "positive"),
        node("Where", ["b", "s", "low"], ["c"], "choice"),
        node("Softmax", ["c"], ["p"], "weights", axis=-1),
        node("MatMul", ["p", "v"], ["a"], "mixed"),
        node("MatMul", ["a", "wo"], ["o"], "out"),
        node("Add", ["o", "x"], ["r"]),
        node("MatMul", ["r", "wg"], ["g"], "gate"),
        node("Sigmoid", ["g"], ["h"], "sigmoid"),
        node("Mul", ["h", "r"], ["m"], "gated"),
        node("ReduceMax", ["m"], ["y"], "largest", axes=[1], keepdims=0),
        node("MatMul", ["y", "wl"], ["logits"], "head"),
    ]
    constants = {f"w{n}": 0.5 * random(8, 8, seed=i) for i, n in enumerate("qkvog")}
    constants |= {
        "gamma": 1 + 0.2 * random(8),
        "beta": random(8, seed=1),
        "zero": np.asarray(0, np.float32),
        "low": np.asarray(-3, np.float32),
        "wl": random(8, 3, seed=9),
    }
    return saved(tmp_path, graph_of(nodes, {"x": SHAPE}, constants))


def inputs(samples: int) -> np.ndarray:
    return random(samples, *SHAPE, seed=7)


def test_a_network_and_its_implicit_model_have_the_same_states(path: Path) -> None:
    network = open_teacher(path)
    implicit = ImplicitTeacher(network.model, path, 0, "")
    batch = {"x": np.moveaxis(inputs(4), 0, -1)}
    theirs, ours = network.whole(batch), implicit.whole(batch)
    assert set(theirs.states) == set(ours.states)
    for name, state in theirs.states.items():
        np.testing.assert_allclose(ours.states[name], state, atol=ROUNDING)
    weighted = {name for name, affine in network.model.affines() if affine.weighted}
    assert set(theirs.preactivations) == weighted == {"query", "key", "value", "r", "sigmoid", "logits"}


def test_a_network_is_advanced_from_states_that_are_no_tensors_of_it(path: Path) -> None:
    network = open_teacher(path)
    batch = {"x": np.moveaxis(inputs(4), 0, -1)}
    whole = network.whole(batch)
    values = dict(batch)
    for block in network.model.blocks:
        reading = network.step([block.name])({t.source: values[t.source] for t in block.affine.terms})
        np.testing.assert_allclose(reading.states[block.name], whole.states[block.name], atol=ROUNDING)
        values |= reading.states


@pytest.mark.parametrize("states", ["regenerated", "baseline"])
def test_rows_between_nonlinear_blocks_are_compressed_and_certified(
    path: Path, tmp_path: Path, states: str
) -> None:
    calibration = inputs(64)
    result = compress(path, calibration, Settings(0.4, states=states))
    result.save(tmp_path / "m.sim.safetensors")
    stored = read(tmp_path / "m.sim.safetensors")
    assert stored.certificate.kind == "acyclic"
    verify(stored.model, stored.certificate)
    assert result.provenance["sparsity"] == pytest.approx(0.4, abs=0.01)
    exact = Session(open_teacher(path).model, kernel="scipy")(calibration)
    error = Session(stored.model, kernel="scipy")(calibration) - exact
    assert np.square(error).mean() < 0.5 * exact.var()
