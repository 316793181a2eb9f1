"""Baseline and regenerated Grams of an ONNX network."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from sim_compress.core.engines import Engine, engine
from sim_compress.core.engines.stored import StoredArrays
from sim_compress.core.engines.threads import Threads, threads
from sim_compress.model import Affine
from sim_compress.runtime import Session
from sim_compress.states import (
    Teacher,
    Visit,
    baseline_grams,
    open_teacher,
    own_means,
    regenerate,
)
from sim_compress.states import batches as batching
from tests.frontend.graphs import graph_of, node, random, saved

# Float32 products summed in another order.
ROUNDING = 1e-4


def quiet(_part: float) -> None:
    """No progress is shown."""


@pytest.fixture
def workers():
    with engine() as several:
        yield several


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


def test_regenerated_grams_of_an_unchanged_model_are_the_baseline_grams(teacher, workers):
    baseline, seen = baseline_grams(teacher, dict(teacher.model.affines()), inputs(70), workers, quiet), {}
    regenerate(teacher, inputs(70), unchanged(seen), workers, quiet)
    assert set(seen) == set(baseline)
    for name, grams in baseline.items():
        for ours, theirs in zip(seen[name].grams, grams, strict=True):
            assert ours.points == theirs.points
            scale = np.abs(theirs.scatter).max()
            np.testing.assert_allclose(ours.scatter, theirs.scatter, atol=ROUNDING * scale)
            np.testing.assert_allclose(ours.cross, theirs.cross, atol=ROUNDING * np.abs(theirs.cross).max())


def test_later_blocks_see_what_earlier_rows_really_give(teacher, workers):
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
    baseline = baseline_grams(teacher, dict(teacher.model.affines()), inputs(70), workers, quiet)
    model = regenerate(teacher, inputs(70), halve_the_first, workers, quiet)
    halved, whole = seen["relu2"].grams[0], baseline["relu2"][0]
    np.testing.assert_allclose(halved.scatter, whole.scatter / 4, rtol=ROUNDING, atol=ROUNDING)
    # The target stays the teacher's, less the halved skip connection.
    assert not np.allclose(halved.target_mean, whole.target_mean, rtol=ROUNDING)
    assert not np.allclose(Session(model)(inputs(3)), Session(teacher.model)(inputs(3)), rtol=ROUNDING)


def assert_same(one: dict[str, Visit], other: dict[str, Visit]) -> None:
    """Grams are the same to the bit, and so are those of targets that moved."""
    assert one.keys() == other.keys()
    for name, visit in one.items():
        for ours, theirs in zip(visit.grams, other[name].grams, strict=True):
            for part in ("scatter", "cross", "feature_mean", "target_mean", "target_scatter"):
                np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))


def visits(teacher: Teacher, workers: Engine) -> dict[str, Visit]:
    """Every block on its turn, its targets moved to what fewer weights give."""
    seen: dict[str, Visit] = {}

    def thin(visit: Visit) -> Affine:
        terms = tuple(
            t if t.weight is None else replace(t, weight=(t.weight * (abs(t.weight) > 0.3)).tocsr())
            for t in visit.affine.terms
        )
        rows = replace(visit.affine, terms=terms)
        seen[visit.name] = visit
        if visit.nearest and visit.affine.weighted:
            seen[f"{visit.name} moved"] = replace(visit, grams=visit.nearest(rows))
        return rows

    regenerate(teacher, inputs(130), thin, workers, quiet)
    return seen


@pytest.fixture(scope="module")
def alone():
    with engine("threads", 1) as worker:
        yield worker


@pytest.mark.parametrize(("name", "workers"), [("threads", 3), ("processes", 2)])
def test_every_engine_gives_the_same_grams_to_the_bit(teacher, alone, name, workers):
    expected = visits(teacher, alone)
    baseline = baseline_grams(teacher, dict(teacher.model.affines()), inputs(130), alone, quiet)
    means = own_means(teacher.model, inputs(130), alone)
    with engine(name, workers) as several:
        assert_same(visits(teacher, several), expected)
        found = baseline_grams(teacher, dict(teacher.model.affines()), inputs(130), several, quiet)
        assert_same(
            {n: Visit(n, a, found[n]) for n, a in teacher.model.affines()},
            {n: Visit(n, a, baseline[n]) for n, a in teacher.model.affines()},
        )
        again = own_means(teacher.model, inputs(130), several)
    assert [m.tobytes() for own in again.values() for m in own] == [
        m.tobytes() for own in means.values() for m in own
    ]


def test_states_on_disk_give_the_same_grams_to_the_bit(teacher, alone):
    with threads(2, bound=0) as workers:
        assert_same(visits(teacher, workers), visits(teacher, alone))


def test_the_live_cut_holds_no_state_longer_than_needed(teacher):
    held: list[int] = []

    class Watched(Threads):
        def _kept(self, arrays):
            kept = super()._kept(arrays)
            assert isinstance(kept, StoredArrays) or not arrays
            held.append(len(list(self._folder.iterdir())))
            return kept

    with ThreadPoolExecutor(1) as pool, TemporaryDirectory() as folder:
        regenerate(teacher, inputs(5), unchanged({}), Watched(pool, 1, Path(folder), 0), quiet)
        assert not list(Path(folder).iterdir())
    # Of one batch, the teacher's and the regenerated states of two blocks.
    assert max(held) <= 4


def test_batches_shrink_until_all_states_of_one_fit(teacher, monkeypatch):
    monkeypatch.setattr(batching, "BATCH_BYTES", 4 * 2000)
    sizes = {len(b["u"]) for b in batching.batches(teacher.model, inputs(10))}
    assert max(sizes) < 10


def test_progress_ends_at_one(teacher, workers):
    parts: list[float] = []
    baseline_grams(teacher, dict(teacher.model.affines()), inputs(70), workers, parts.append)
    regenerate(teacher, inputs(70), unchanged({}), workers, parts.append)
    assert parts[-1] == 1.0
    assert parts.count(1.0) == 2
