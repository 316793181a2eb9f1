"""Baseline and regenerated Grams of an ONNX network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sim_compress.model import Affine
from sim_compress.runtime import Session
from sim_compress.states import (
    Store,
    Teacher,
    Visit,
    baseline_grams,
    open_teacher,
    regenerate,
)
from sim_compress.states import batches as batching
from tests.frontend.graphs import graph_of, node, random, saved

# Float32 products summed in another order.
ROUNDING = 1e-4


def quiet(_part: float) -> None:
    """No progress is shown."""


@pytest.fixture
def teacher(tmp_path) -> Teacher:
    """Two convolutions with a skip connection, max pooling and a classifier."""
    nodes = [
        node("Conv", ["u", "w1", "b1"], ["z1"], "first", pads=[1, 1, 1, 1]),
        node("Relu", ["z1"], ["x1"], "relu1"),
        node("Conv", ["x1", "w2", "b2"], ["c2"], "second", pads=[1, 1, 1, 1], group=2),
        node("Add", ["c2", "x1"], ["z2"], "add"),
        node("Relu", ["z2"], ["x2"], "relu2"),
        node("MaxPool", ["x2"], ["x3"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["x3"], ["f"], "flat"),
        node("Gemm", ["f", "w3", "b3"], ["y"], "head", transB=1),
    ]
    constants = {
        "w1": random(4, 2, 3, 3),
        "b1": random(4),
        "w2": random(4, 2, 3, 3, seed=1),
        "b2": random(4, seed=1),
        "w3": random(5, 36, seed=2),
        "b3": random(5, seed=2),
    }
    return open_teacher(saved(tmp_path, graph_of(nodes, {"u": (2, 6, 6)}, constants)))


def inputs(samples: int) -> dict[str, np.ndarray]:
    return {"u": random(samples, 2, 6, 6, seed=5)}


def unchanged(seen: dict[str, Visit]) -> Callable[[Visit], Affine]:
    def keep(visit: Visit) -> Affine:
        seen[visit.name] = visit
        return visit.affine

    return keep


def test_regenerated_grams_of_an_unchanged_model_are_the_baseline_grams(teacher):
    baseline, seen = baseline_grams(teacher, dict(teacher.model.affines()), inputs(70), quiet), {}
    with Store() as store:
        regenerate(teacher, inputs(70), unchanged(seen), store, quiet)
    assert set(seen) == set(baseline)
    for name, grams in baseline.items():
        for ours, theirs in zip(seen[name].grams, grams, strict=True):
            assert ours.points == theirs.points
            scale = np.abs(theirs.scatter).max()
            np.testing.assert_allclose(ours.scatter, theirs.scatter, atol=ROUNDING * scale)
            np.testing.assert_allclose(ours.cross, theirs.cross, atol=ROUNDING * np.abs(theirs.cross).max())


def test_later_blocks_see_what_earlier_rows_really_give(teacher):
    def halve_the_first(visit: Visit) -> Affine:
        seen[visit.name] = visit
        if visit.name != "relu1":
            return visit.affine
        half, (term,) = np.float32(0.5), visit.affine.terms
        assert term.weight is not None
        assert visit.affine.bias is not None
        halved = replace(term, weight=term.weight * half)
        return replace(visit.affine, terms=(halved,), bias=visit.affine.bias * half)

    seen: dict[str, Visit] = {}
    baseline = baseline_grams(teacher, dict(teacher.model.affines()), inputs(70), quiet)
    with Store() as store:
        model = regenerate(teacher, inputs(70), halve_the_first, store, quiet)
    halved, whole = seen["relu2"].grams[0], baseline["relu2"][0]
    np.testing.assert_allclose(halved.scatter, whole.scatter / 4, rtol=ROUNDING, atol=ROUNDING)
    # The target stays the teacher's, less the halved skip connection.
    assert not np.allclose(halved.target_mean, whole.target_mean, rtol=ROUNDING)
    assert not np.allclose(Session(model)(inputs(3)), Session(teacher.model)(inputs(3)), rtol=ROUNDING)


def test_states_on_disk_give_the_same_grams_to_the_bit(teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held: dict[int, dict[str, Visit]] = {0: {}, 10**9: {}}
    for bound, seen in held.items():
        with Store(bound) as store:
            regenerate(teacher, inputs(130), unchanged(seen), store, quiet)
    for name, visit in held[0].items():
        for on_disk, in_memory in zip(visit.grams, held[10**9][name].grams, strict=True):
            np.testing.assert_array_equal(on_disk.scatter, in_memory.scatter)
            np.testing.assert_array_equal(on_disk.cross, in_memory.cross)


def test_the_live_cut_holds_no_state_longer_than_needed(teacher):
    names: list[set[str]] = []

    class Watched(Store):
        def put(self, name: str, batch: int, array: np.ndarray) -> None:
            super().put(name, batch, array)
            names.append({key[0] for key in self._arrays})

    with Watched() as store:
        regenerate(teacher, inputs(5), unchanged({}), store, quiet)
    assert max(len(n) for n in names) <= 4


def test_batches_shrink_until_all_states_of_one_fit(teacher, monkeypatch):
    monkeypatch.setattr(batching, "BATCH_BYTES", 4 * 2000)
    sizes = {len(b["u"]) for b in batching.batches(teacher.model, inputs(10))}
    assert max(sizes) < 10


def test_progress_ends_at_one(teacher):
    parts: list[float] = []
    baseline_grams(teacher, dict(teacher.model.affines()), inputs(70), parts.append)
    with Store() as store:
        regenerate(teacher, inputs(70), unchanged({}), store, parts.append)
    assert parts[-1] == 1.0
    assert parts.count(1.0) == 2
