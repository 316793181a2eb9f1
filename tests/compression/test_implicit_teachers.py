"""Implicit models go back in as teachers: artifacts are compressed further, loops keep their certificate."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress import Settings, compress, load, open_teacher
from sim_compress.certificate import norm_bound, verify
from sim_compress.errors import CertificateError
from sim_compress.runtime import Session
from sim_compress.states import ImplicitTeacher
from tests.networks import loop

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(MODELS / "fashion_mlp.calibration.npz")["images"]


def test_an_artifact_is_compressed_further(images, tmp_path):
    first, second = tmp_path / "a.sim.safetensors", tmp_path / "b.sim.safetensors"
    compress(MODELS / "fashion_mlp.onnx", images, Settings(0.3)).save(first)
    result = compress(first, images, Settings(0.4))
    result.save(second)
    assert result.model.nnz / open_teacher(first).model.nnz == pytest.approx(0.6, abs=0.001)
    assert second.stat().st_size < first.stat().st_size
    agree = load(second)(images).argmax(1) == load(first)(images).argmax(1)
    assert agree.mean() > 0.95


def test_a_loop_is_compressed_within_kappa_and_settles_where_the_teacher_does():
    model = loop(0.8, size=30)
    teacher = ImplicitTeacher(model, Path("loop"), 0, "")
    u = np.random.default_rng(0).standard_normal((400, 3)).astype(np.float32)
    result = compress(teacher, u, Settings(0.2))
    verify(result.model, result.certificate)
    assert result.certificate.kind == "norm"
    assert norm_bound(result.model, result.certificate.scaling) <= 0.99
    ours, theirs = Session(result.model)(u), Session(model)(u)
    assert np.linalg.norm(ours - theirs) < 0.15 * np.linalg.norm(theirs)


def test_a_loop_whose_root_is_not_below_kappa_is_refused():
    teacher = ImplicitTeacher(loop(0.8, size=30), Path("loop"), 0, "")
    u = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    with pytest.raises(CertificateError, match=r"not below 0\.05"):
        compress(teacher, u, Settings(0.3, kappa=0.05))
