"""Teachers and results are copied and pickled, used or not, and give what the original gives."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim_compress import Settings, compress, open_teacher
from sim_compress.artifact import encode
from sim_compress.runtime import Session
from sim_compress.states import Teacher, open_module
from tests.frontend.graphs import saved
from tests.shared_networks import language_model, layers

Copy = Callable[[Any], Any]
COPIES = pytest.mark.parametrize(
    "copied", [lambda thing: pickle.loads(pickle.dumps(thing)), copy.deepcopy], ids=["pickled", "copied"]
)


def from_file(folder: Path) -> Teacher:
    return open_teacher(saved(folder, layers()))


def from_artifact(folder: Path) -> Teacher:
    teacher = from_file(folder)
    path = folder / "half.sim.safetensors"
    compress(teacher, inputs(teacher), Settings(0.3, tune=0)).save(path)
    return open_teacher(path)


def from_module(_: Path) -> Teacher:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    return open_module(module, {"input": np.zeros((2, 6), np.float32)})


def inputs(teacher: Teacher, samples: int = 24) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {i.name: rng.standard_normal((samples, *i.shape)).astype(i.dtype) for i in teacher.model.inputs}


def outputs(teacher: Teacher) -> dict[str, np.ndarray]:
    return teacher.outputs({name: np.moveaxis(u, 0, -1) for name, u in inputs(teacher).items()})


@COPIES
@pytest.mark.parametrize("opened", [from_file, from_artifact, from_module])
def test_a_teacher_that_was_used_is_copied_with_all_it_knows(opened: Any, copied: Copy, tmp_path: Path):
    teacher = opened(tmp_path)
    before = outputs(teacher)
    found = copied(teacher)
    assert isinstance(found, Teacher)
    assert (found.path, found.size, found.sha256) == (teacher.path, teacher.size, teacher.sha256)
    for name, value in outputs(found).items():
        np.testing.assert_array_equal(value, before[name])
    one, other = (compress(t, inputs(teacher), Settings(0.3, tune=0)) for t in (teacher, found))
    assert encode(one.model, one.certificate, {}) == encode(other.model, other.certificate, {})


@COPIES
def test_a_result_is_copied_with_rows_that_stay_one(copied: Copy, tmp_path: Path):
    ids = np.random.default_rng(0).integers(0, 60, (32, 5))
    result = compress(saved(tmp_path, language_model()), ids, Settings(0.5, tune=0))
    assert result.model.readers
    found = copied(result)
    assert found.model.readers == result.model.readers
    assert found.model.parameters == result.model.parameters
    assert encode(found.model, found.certificate, {}) == encode(result.model, result.certificate, {})
    one, other = (Session(r.model).predict(ids)["scores"] for r in (result, found))
    np.testing.assert_array_equal(one, other)
