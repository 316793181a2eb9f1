"""Teachers: an ONNX network and its own exact implicit model read the same states; loops settle."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.artifact import write
from sim_compress.certificate import certify
from sim_compress.errors import ArtifactError, ModelFileError
from sim_compress.runtime import Session
from sim_compress.states import ImplicitTeacher, NetworkTeacher, open_teacher
from tests.networks import loop

MODELS = Path(__file__).parents[2] / "models"
# onnxruntime and BLAS add in different orders.
ROUNDING = 1e-4


def test_a_network_and_its_implicit_model_read_the_same_states():
    network = open_teacher(MODELS / "fashion_mlp.onnx")
    assert isinstance(network, NetworkTeacher)
    implicit = ImplicitTeacher(network.model, network.path, network.size, network.sha256)
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:6].astype(np.float32)
    batch = {"images": np.moveaxis(images, 0, -1)}
    theirs, ours = network.whole(batch), implicit.whole(batch)
    for group in ("preactivations", "states"):
        known = getattr(theirs, group)
        assert set(known) == set(getattr(ours, group))
        for name, values in known.items():
            np.testing.assert_allclose(getattr(ours, group)[name], values, rtol=ROUNDING, atol=ROUNDING)
    for name, values in network.outputs(batch).items():
        np.testing.assert_allclose(implicit.outputs(batch)[name], values, rtol=ROUNDING, atol=ROUNDING)


def test_the_states_of_a_loop_are_its_equilibrium():
    model = loop(0.8)
    teacher = ImplicitTeacher(model, Path("loop"), 0, "")
    u = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    reading = teacher.whole({"u": u})
    x = reading.states["x"]
    np.testing.assert_allclose(x, np.maximum(reading.preactivations["x"], 0), atol=ROUNDING)
    again = teacher.step(["x"])({"u": u})
    np.testing.assert_array_equal(again.states["x"], x)
    np.testing.assert_allclose(teacher.outputs({"u": u})["y"].T, Session(model)(u.T), atol=ROUNDING)


def test_an_artifact_opens_as_an_implicit_teacher(tmp_path):
    path = tmp_path / "loop.sim.safetensors"
    size = write(path, loop(), certify(loop()), {})
    teacher = open_teacher(path)
    assert isinstance(teacher, ImplicitTeacher)
    assert (teacher.size, teacher.path) == (size, path)
    assert len(teacher.sha256) == 64


def test_a_file_that_is_neither_is_refused(tmp_path):
    for name, error in (("a.safetensors", ArtifactError), ("a.onnx", ModelFileError)):
        (tmp_path / name).write_bytes(b"not a network")
        with pytest.raises(error, match=name):
            open_teacher(tmp_path / name)
