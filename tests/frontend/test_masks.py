"""Masks of attention as exporters spell them: of truth values, added, infinite, constant or an input."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import Settings, compress
from sim_compress.frontend import load_teacher
from sim_compress.runtime import Session
from sim_compress.states import NetworkTeacher
from tests.frontend.attention_graphs import (
    INFINITE,
    LOWEST,
    TOKENS,
    attention_graph,
    present,
    tokens,
)
from tests.frontend.graphs import assert_close, node, run, saved

LATER = np.triu(np.ones((TOKENS, TOKENS), bool), 1)
KINDS = onnx.TensorProto
# name: nodes between `scaled` and `masked`, their constants
CONSTANT = {
    "causal, infinite": (
        [node("Add", ["scaled", "m"], ["masked"], "mask")],
        {"m": np.where(LATER, INFINITE, np.float32(0))},
    ),
    "causal, lowest": (
        [node("Add", ["scaled", "m"], ["masked"], "mask")],
        {"m": np.where(LATER, LOWEST, np.float32(0))},
    ),
    "causal, a choice": (
        [node("Where", ["m", "scaled", "low"], ["masked"], "mask")],
        {"m": ~LATER, "low": INFINITE},
    ),
    "causal, a choice the other way": (
        [node("Where", ["m", "low", "scaled"], ["masked"], "mask")],
        {"m": LATER, "low": LOWEST},
    ),
    "causal, of a triangle": (
        [
            node("Expand", ["one", "square"], ["ones"], "ones"),
            node("Trilu", ["ones"], ["triangle"], "triangle", upper=0),
            node("Equal", ["triangle", "zero"], ["later"], "later"),
            node("Where", ["later", "low", "zero"], ["m"], "choice"),
            node("Add", ["scaled", "m"], ["masked"], "mask"),
        ],
        {"one": np.float32(1), "square": np.array([TOKENS, TOKENS]), "low": LOWEST},
    ),
    "of numbers": (
        [node("Add", ["scaled", "m"], ["masked"], "mask")],
        {"m": -np.abs(np.subtract.outer(np.arange(TOKENS), np.arange(TOKENS))).astype(np.float32)},
    ),
}
UNSQUEEZED = [
    node("Unsqueeze", ["mask", "one"], ["mask_1"], "mask_1"),
    node("Unsqueeze", ["mask_1", "two"], ["mask_2"], "mask_2"),
]
AXES = {"one": np.array([1]), "two": np.array([2])}
# name: element type of the mask, nodes, constants
GIVEN = {
    "truth values, infinite": (
        KINDS.BOOL,
        [
            *UNSQUEEZED,
            node("Where", ["mask_2", "zero", "low"], ["m"], "choice"),
            node("Add", ["scaled", "m"], ["masked"], "mask"),
        ],
        {**AXES, "low": INFINITE},
    ),
    "truth values, a choice of scores": (
        KINDS.BOOL,
        [*UNSQUEEZED, node("Where", ["mask_2", "scaled", "low"], ["masked"], "mask")],
        {**AXES, "low": LOWEST},
    ),
    "what is left out": (
        KINDS.INT64,
        [
            *UNSQUEEZED,
            node("Cast", ["mask_2"], ["kept"], "kept", to=KINDS.BOOL),
            node("Not", ["kept"], ["left"], "left"),
            node("Where", ["left", "low", "scaled"], ["masked"], "mask"),
        ],
        {**AXES, "low": INFINITE},
    ),
    "one minus the mask, lowest": (
        KINDS.INT64,
        [
            *UNSQUEEZED,
            node("Cast", ["mask_2"], ["real"], "real", to=KINDS.FLOAT),
            node("Sub", ["unit", "real"], ["left"], "left"),
            node("Mul", ["left", "low"], ["m"], "m"),
            node("Add", ["scaled", "m"], ["masked"], "mask"),
        ],
        {**AXES, "unit": np.float32(1), "low": LOWEST},
    ),
    "together with a causal one": (
        KINDS.BOOL,
        [
            *UNSQUEEZED,
            node("And", ["mask_2", "sooner"], ["seen"], "seen"),
            node("Where", ["seen", "zero", "low"], ["m"], "choice"),
            node("Add", ["scaled", "m"], ["masked"], "mask"),
        ],
        {**AXES, "sooner": ~LATER, "low": INFINITE},
    ),
}


def _check(path: Path, kind: int | None) -> None:
    """Outputs as onnxruntime's for several batches, and of the half that 50 % leaves without error."""
    teacher = load_teacher(path)
    for samples in (1, 3, 8):
        feed = _feed(samples, kind)
        assert_close(Session(teacher.model).predict(feed)["y"], run(path, feed)["y"])
    result = compress(NetworkTeacher(teacher), _feed(24, kind), Settings(0.5, tune=0))
    assert result.sparsity == pytest.approx(0.5, abs=0.01)
    assert np.isfinite(Session(result.model).predict(_feed(3, kind))["y"]).all()


def _feed(samples: int, kind: int | None) -> dict[str, np.ndarray]:
    mask = present(samples)
    masks = {} if kind is None else {"mask": mask.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))}
    return {"x": tokens(samples), **masks}


@pytest.mark.parametrize("guarded", [False, True], ids=["plain", "guarded"])
@pytest.mark.parametrize("name", CONSTANT)
def test_a_constant_mask_is_exact(tmp_path: Path, name: str, guarded: bool) -> None:
    nodes, constants = CONSTANT[name]
    _check(saved(tmp_path, attention_graph(nodes, constants, guarded=guarded)), None)


@pytest.mark.parametrize("guarded", [False, True], ids=["plain", "guarded"])
@pytest.mark.parametrize("name", GIVEN)
def test_a_mask_of_tokens_that_is_an_input_is_exact(tmp_path: Path, name: str, guarded: bool) -> None:
    kind, nodes, constants = GIVEN[name]
    _check(saved(tmp_path, attention_graph(nodes, constants, {"mask": kind}, guarded)), kind)


def test_a_guarded_text_that_is_masked_whole_gives_what_onnxruntime_gives(tmp_path: Path) -> None:
    kind, nodes, constants = GIVEN["truth values, infinite"]
    path = saved(tmp_path, attention_graph(nodes, constants, {"mask": kind}, guarded=True))
    feed = {"x": tokens(3), "mask": np.array([[True] * TOKENS, [False] * TOKENS, [True] * TOKENS])}
    assert_close(Session(load_teacher(path).model).predict(feed)["y"], run(path, feed)["y"])
