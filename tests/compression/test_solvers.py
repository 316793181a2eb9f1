"""A conic solver in the pipeline: nearly the native one's model; one that cannot be used stops at once."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress import Settings, compress
from sim_compress.errors import SolverError
from sim_compress.runtime import Session
from tests.frontend.graphs import graph_of, node, random, saved


def network(folder: Path) -> Path:
    nodes = [
        node("Gemm", ["u", "w1", "b1"], ["z"], transB=1),
        node("Relu", ["z"], ["x"]),
        node("Gemm", ["x", "w2", "b2"], ["y"], transB=1),
    ]
    constants = {
        "w1": random(8, 12),
        "b1": random(8),
        "w2": random(3, 8, seed=1),
        "b2": random(3, seed=1),
    }
    return saved(folder, graph_of(nodes, {"u": (12,)}, constants))


def test_clarabel_in_the_pipeline_gives_a_model_as_good_as_the_native_one(tmp_path):
    path, u = network(tmp_path), random(200, 12, seed=3)
    teacher = compress(path, u, Settings(0.01)).model
    errors = []
    for name in ("native", "clarabel"):
        model = compress(path, u, Settings(0.5, solver=name)).model
        errors.append(np.linalg.norm(Session(model)(u) - Session(teacher)(u)))
    assert errors[1] <= 1.1 * errors[0]


def test_mosek_without_a_licence_stops_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MOSEKLM_LICENSE_FILE", raising=False)
    with pytest.raises(SolverError, match="MOSEK cannot be used"):
        compress(tmp_path / "there is no such file.onnx", random(2, 12), Settings(0.5, solver="mosek"))
