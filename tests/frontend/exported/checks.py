"""What must hold of an exported network: it loads, is exact, compresses, runs and is exported again."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import Settings, compress, load
from sim_compress.artifact import read
from sim_compress.export import to_onnx
from sim_compress.frontend import Teacher
from sim_compress.frontend.network import networks
from sim_compress.frontend.read import cleaning
from sim_compress.frontend.weights import taken_out
from sim_compress.runtime import Session
from sim_compress.states import NetworkTeacher
from tests.frontend.exported.placing import POOL, misplaced
from tests.frontend.exported.subject import Subject
from tests.frontend.graphs import Arrays, assert_close, run, silent_session

BATCHES = (1, 3, 8)
CALIBRATION = 16
TARGET = 0.5


def assert_exact(teacher: Teacher, subject: Subject, batch: int | None = None) -> None:
    """The model gives onnxruntime's outputs on the file for several batches, in pieces where it fixes one."""
    session = Session(teacher.model)
    assert [i.name for i in teacher.model.inputs] == subject.names()
    for samples in BATCHES:
        feed = subject.drawn(samples, seed=samples)
        found = session.predict(samples_first(feed, subject))
        assert list(found) == list(subject.outputs)
        for name, value in expected(teacher.path, subject, feed, batch).items():
            assert_close(found[name], value)


def assert_compresses(teacher: Teacher, subject: Subject, folder: Path) -> None:
    """Half of the entries leave; the artifact runs, and its ONNX file gives what it gives."""
    inputs = samples_first(subject.drawn(CALIBRATION, seed=1), subject)
    result = compress(NetworkTeacher(teacher), inputs, Settings(TARGET, tune=0))
    assert result.sparsity == pytest.approx(TARGET, abs=0.005)
    path = folder / "network.sim.safetensors"
    result.save(path)
    feed = samples_first(subject.drawn(3, seed=2), subject)
    found = load(path).predict(feed)
    graph = run(to_onnx(read(path).model), feed)
    for name, value in found.items():
        assert np.isfinite(value).all()
        assert_close(graph[name], value)


def assert_placed(path: Path, subject: Subject) -> None:
    """Every tensor has its samples where the axis pass says."""
    model, weights = taken_out(onnx.load(path))
    network = next(networks(cleaning.normalise(model), weights, {}))
    assert network.refused == ()
    pool = samples_first(subject.drawn(POOL, seed=3), subject)
    assert list(misplaced(network, pool)) == []


def expected(path: Path, subject: Subject, feed: Arrays, batch: int | None = None) -> dict[str, np.ndarray]:
    """onnxruntime's outputs, samples first; a piece that is too short is filled up with its last sample."""
    session, samples = silent_session(path), _samples(subject, feed)
    size = batch or samples
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in subject.outputs}
    for start in range(0, samples, size):
        chosen = np.minimum(np.arange(start, start + size), samples - 1)
        part = {i.name: np.take(feed[i.name], chosen, axis=i.batch_axis) for i in subject.inputs}
        for (name, axis), value in zip(subject.outputs.items(), session.run(None, part), strict=True):
            pieces[name].append(np.moveaxis(np.asarray(value), axis, 0))
    return {name: np.concatenate(parts)[:samples] for name, parts in pieces.items()}


def samples_first(feed: Arrays, subject: Subject) -> dict[str, np.ndarray]:
    """Inputs as the model takes them, whatever their order in the file."""
    return {i.name: np.moveaxis(feed[i.name], i.batch_axis, 0) for i in subject.inputs}


def _samples(subject: Subject, feed: Arrays) -> int:
    first = subject.inputs[0]
    return feed[first.name].shape[first.batch_axis]
