"""Memory is planned before any work; in less of it a run goes other ways, to the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import DTypeLike

from sim_compress import Settings, compress, open_teacher, storage, sweep
from sim_compress.compression import Target, memory_plan, prepared
from sim_compress.compression.memory import plan as planning
from sim_compress.compression.memory.plan import MemoryPlan
from sim_compress.compression.resume import RunFolder
from sim_compress.compression.steps.step import Turn
from sim_compress.core.engines import Bounded, engine
from sim_compress.core.gram import Gram
from sim_compress.errors import InputError
from sim_compress.states import Teacher
from tests.cli.networks import classifier, images
from tests.compression.odd_networks import dense
from tests.frontend.graphs import graph_of, node, random, saved

WAYS = {
    "in order, tuned": {"tune": 2},
    "in order, moved targets": {"tune": 0, "nearest_rounds": 1},
    "baseline": {"states": "baseline"},
    "full support": {"support": "full"},
    "channels": {"pattern": "channels", "tune": 0},
    "exact": {"matching": "exact"},
}
SAMPLES = 120


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    """Networks of a test are small beside the process: its own memory is left out, and files are small."""
    monkeypatch.setattr(planning, "resident_memory", lambda: 0)
    monkeypatch.setattr(planning, "LIBRARIES", 0)
    monkeypatch.setattr(storage, "LEAST", 64)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Teacher:
    """A convolution and dense rows, whose Grams do not fit into the same pass."""
    return open_teacher(saved(tmp_path_factory.mktemp("network"), classifier()))


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Teacher:
    """Dense rows alone, which full support and few samples ask for."""
    return open_teacher(saved(tmp_path_factory.mktemp("network"), dense((6, 12, 9, 3), (True, True, True))))


def planned(teacher: Teacher, inputs: np.ndarray, settings: Settings, memory: int | None) -> MemoryPlan:
    with engine("threads", 2) as workers:
        return memory_plan(Target(prepared(teacher, inputs, settings), settings, workers), memory)


def least(teacher: Teacher, inputs: np.ndarray, settings: Settings) -> int:
    """Bytes of the smallest way to run it."""
    return planned(teacher, inputs, settings, 1).peak


@pytest.mark.parametrize("way", WAYS)
def test_the_smallest_way_gives_the_same_bytes(teacher, wide, way, tmp_path, monkeypatch):
    settings = Settings(0.1 if way == "exact" else 0.5, **WAYS[way])
    network = wide if way in ("full support", "exact") else teacher
    samples = 4 if way == "exact" else SAMPLES
    inputs = (
        np.random.default_rng(0).standard_normal((samples, 6)).astype(np.float32)
        if network is wide
        else images(samples)
    )
    made: list[int] = []
    on_disk = storage.on_disk

    def counted(size: int, dtype: DTypeLike = np.uint8) -> np.ndarray:
        made.append(size)
        return on_disk(size, dtype)

    monkeypatch.setattr(storage, "on_disk", counted)

    def run(memory: int | None) -> bytes:
        path = tmp_path / "model.sim.safetensors"
        with engine("threads", 2) as workers:
            compress(network, inputs, settings, engine=workers, memory=memory).save(path)
        return path.read_bytes()

    whole = run(None)
    assert not made
    smallest = planned(network, inputs, settings, 1).room
    assert smallest.on_disk
    assert smallest.passes > 1
    assert (smallest.workers, smallest.begun) == (1, 1)
    assert run(least(network, inputs, settings)) == whole
    assert made


def test_grams_of_several_passes_are_those_of_one(teacher):
    settings, inputs = Settings(0.5, tune=0), images(SAMPLES)
    sets = []
    for bound in (None, 1):
        with engine("threads", 2) as workers:
            target = Target(
                prepared(teacher, inputs, settings), settings, workers, storage.OnDisk(), gram_bytes=bound
            )
            moments = next(s for s in target.ready.method.steps(target) if s.name == "moments")
            sets.append(moments.run(Turn(target, lambda _part: None)).grams)
    one, several = sets
    assert list(one) == list(several)
    for name, grams in one.items():
        for gram, other in zip(grams, several[name], strict=True):
            for field in ("scatter", "cross", "feature_mean", "target_mean", "target_scatter"):
                np.testing.assert_array_equal(getattr(gram, field), getattr(other, field))


def test_what_does_not_fit_is_refused_before_any_work_with_its_block(teacher):
    settings, inputs = Settings(0.5, tune=0), images(SAMPLES)
    seen: list[str] = []
    with pytest.raises(InputError) as refused:
        compress(
            teacher,
            inputs,
            settings,
            lambda stage, _part: seen.append(stage),
            memory=least(teacher, inputs, settings) - 1,
        )
    text = str(refused.value)
    assert not seen
    assert text.count("\n") == 0
    assert "allowed (--memory)" in text
    # 144 features, where the convolution has 9.
    assert "'scores'" in text
    assert "--ignore" in text


def test_tuning_that_does_not_fit_is_refused_with_the_option(tmp_path):
    """Lanes of 16 samples take more than a batch of 4."""
    nodes = [
        node("Conv", ["images", "kernel"], ["maps"], kernel_shape=[1, 1]),
        node("Relu", ["maps"], ["active"]),
        node("GlobalAveragePool", ["active"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("Gemm", ["flat", "rows"], ["scores"], transB=1),
    ]
    constants = {"kernel": random(4, 1, 1, 1), "rows": random(3, 4)}
    pooled = open_teacher(saved(tmp_path, graph_of(nodes, {"images": (1, 6, 6)}, constants)))
    tuned = Settings(0.5, tune=1)
    with pytest.raises(InputError, match=r"for the tuning, .*--tune 0"):
        compress(pooled, images(4), tuned, memory=least(pooled, images(4), tuned) - 1)


def test_the_refusal_says_what_is_free_where_nothing_was_asked(teacher, monkeypatch):
    monkeypatch.setattr(planning, "available_memory", lambda: 1000)
    with pytest.raises(InputError, match="are free: allow more"):
        compress(teacher, images(SAMPLES), Settings(0.5, tune=0))


def test_where_the_system_does_not_tell_nothing_is_refused(teacher, monkeypatch):
    monkeypatch.setattr(planning, "available_memory", lambda: None)
    found = planned(teacher, images(SAMPLES), Settings(0.5, tune=0), None)
    assert (found.limit, found.room.on_disk) == (None, 0)
    found.check()


def test_ways_are_taken_in_order_as_memory_shrinks(teacher):
    settings, inputs = Settings(0.5, tune=0), images(2000)
    whole = planned(teacher, inputs, settings, None)
    assert (whole.room.begun, whole.room.on_disk, whole.room.passes) == (4, 0, 1)
    rooms = [planned(teacher, inputs, settings, whole.peak * part // 100).room for part in range(100, 0, -1)]
    order = [(-r.begun, r.on_disk > 0, r.passes) for r in rooms]
    assert order == sorted(order)
    assert len(set(order)) > 2


def test_the_grams_of_the_plan_are_those_of_their_arrays(teacher):
    """One set that is added up, one for each of four batches of 32."""
    settings = Settings(0.5, tune=0)
    found = planned(teacher, images(SAMPLES), settings, None)
    grams = next(part for part in found.parts if part.name == "Grams")
    sets = Gram.bytes(9, 4) + Gram.bytes(144, 3)
    assert (grams.here, grams.waiting) == (sets, sets)
    assert found.peak == found.held + max(found.bytes)


def test_what_lies_in_files_must_fit_there(teacher, monkeypatch):
    settings, inputs = Settings(0.5, tune=0), images(SAMPLES)
    monkeypatch.setattr(
        planning.shutil, "disk_usage", lambda _folder: planning.shutil._ntuple_diskusage(2, 1, 1)
    )
    with pytest.raises(InputError, match="set TMPDIR to another folder"):
        compress(teacher, inputs, settings, memory=least(teacher, inputs, settings))


def test_a_sweep_in_little_memory_gives_each_level_to_the_byte(teacher, tmp_path):
    inputs, settings = images(SAMPLES), Settings(0.5, tune=0)
    with engine("threads", 1) as workers:
        levels = sweep(
            teacher,
            inputs,
            settings,
            (0.3, 0.6),
            engine=workers,
            memory=least(teacher, inputs, Settings(0.3, tune=0)),
        )
        for found in levels:
            found.save(tmp_path / "swept")
            alone = compress(
                teacher, inputs, Settings(found.settings.target_sparsity, tune=0), engine=workers
            )
            alone.save(tmp_path / "alone")
            assert (tmp_path / "swept").read_bytes() == (tmp_path / "alone").read_bytes()


def test_a_run_goes_on_with_another_limit(teacher, tmp_path):
    """Where arrays lie is no setting: what was kept without a limit serves a run with one."""
    inputs, settings = images(SAMPLES), Settings(0.5, tune=0)

    def run(memory: int | None) -> tuple[bytes, list[str]]:
        path = tmp_path / "model.sim.safetensors"
        with RunFolder(tmp_path / "run", least=0.0) as folder, engine("threads", 1) as workers:
            compress(teacher, inputs, settings, engine=workers, folder=folder, memory=memory).save(path)
            folder.keep()
        return path.read_bytes(), folder.told

    first, _ = run(least(teacher, inputs, settings))
    second, told = run(None)
    assert first == second
    assert any("taken from an earlier run" in text or "goes on after" in text for text in told)


def test_an_engine_that_is_bounded_begins_no_more_tasks(teacher):
    found = planned(teacher, images(SAMPLES), Settings(0.5, tune=0), 1)
    with engine("threads", 3) as workers:
        bounded = found.engine(workers)
        assert isinstance(bounded, Bounded)
        assert bounded.workers == 1
        assert list(bounded.map(abs, [-1, 2, -3], 9)) == [1, 2, 3]


def test_workers_that_are_processes_count_with_what_they_hold_themselves(teacher):
    settings, inputs = Settings(0.5, tune=0), images(SAMPLES)
    with engine("processes", 2) as workers:
        found = memory_plan(Target(prepared(teacher, inputs, settings), settings, workers))
    by_name = {part.name: part for part in found.parts}
    assert by_name["Grams"].each > 200 * 2**20
    assert found.peak > 2 * 200 * 2**20


def test_a_network_file_is_not_touched_by_a_refusal(teacher, tmp_path):
    with pytest.raises(InputError):
        compress(
            teacher, images(SAMPLES), Settings(0.5, tune=0), folder=RunFolder(tmp_path / "run"), memory=1
        )
    assert list(Path(tmp_path).iterdir()) == []
