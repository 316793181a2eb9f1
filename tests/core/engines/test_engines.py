"""What every engine promises, and that their results have the same bytes."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.core.engines import Arrays, Engine, Shared, engine
from sim_compress.core.engines.stored import Stored, StoredArrays
from sim_compress.core.engines.threads import threads
from sim_compress.errors import InputError, SolverError
from tests.core.engines import functions
from tests.core.engines.functions import Scaled

TASKS = (1.0, 0.5, 3.0, 0.1, 7.0)


@pytest.fixture(scope="module")
def features():
    return {"S": np.random.default_rng(0).standard_normal((300, 357))}


def bits(workers: Engine, features) -> list[bytes]:
    shared = workers.share(features)
    results = workers.map(functions.linear_algebra, [Scaled(shared, factor) for factor in TASKS])
    return [array.tobytes() for arrays in results for array in arrays]


def file_of(shared: Shared[Arrays]) -> Path:
    assert isinstance(shared, Stored)
    return shared.file


@pytest.mark.parametrize("ahead", [None, 1, 2])
def test_results_come_in_the_order_of_the_tasks(each, ahead):
    assert list(each.map(functions.late_first, range(6), ahead)) == list(range(6))


def test_no_tasks_give_no_results(each):
    assert list(each.map(functions.double, [])) == []
    assert list(each.map_keeping(functions.scaled_to_keep, [])) == []


def test_fewer_tasks_than_workers_are_done(each):
    assert list(each.map(functions.double, [4])) == [8]


def test_results_have_the_same_bytes_in_every_engine(features, each, alone):
    assert bits(each, features) == bits(alone, features)


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_results_have_the_same_bytes_for_any_number_of_workers(features, alone, name):
    with engine(name, 3) as workers:
        assert bits(workers, features) == bits(alone, features)


@pytest.mark.parametrize("ahead", [None, 1])
def test_arrays_that_are_kept_serve_later_tasks(each, ahead):
    shared = each.share({"H": np.arange(300000.0)})
    factors = (2.0, 3.0, 5.0)
    found = list(each.map_keeping(functions.scaled_to_keep, [Scaled(shared, f) for f in factors], ahead))
    assert [factor for factor, _ in found] == list(factors)
    later = each.map(functions.scaled, [Scaled(kept, 10.0) for _, kept in found])
    for result, factor in zip(later, factors, strict=True):
        assert np.array_equal(result["H"], np.arange(300000.0) * (10 * factor))
    assert np.array_equal(found[1][1].value["H"], np.arange(300000.0) * 3)
    for _, kept in found:
        kept.drop()


def test_arrays_that_are_kept_lie_in_memory_as_they_were_made(each):
    ((_, kept),) = each.map_keeping(functions.layouts, [0])
    for name, array in functions.layouts(0)[1].items():
        assert np.array_equal(kept.value[name], array)
        assert kept.value[name].dtype == array.dtype
        assert "gaps" in name or not array.size or kept.value[name].strides == array.strides, name


def test_threads_keep_arrays_in_files_beyond_a_bound():
    size = np.arange(1000.0).nbytes
    with threads(2, bound=2 * size) as workers:
        shared = workers.share({"H": np.arange(1000.0)})
        tasks = [Scaled(shared, factor) for factor in (2.0, 3.0, 5.0)]
        kept = [k for _, k in workers.map_keeping(functions.scaled_to_keep, tasks)]
        assert [isinstance(k, StoredArrays) for k in kept] == [False, False, True]
        assert np.array_equal(kept[2].value["H"], np.arange(1000.0) * 5)
        kept[0].drop()
        ((_, again),) = workers.map_keeping(functions.scaled_to_keep, [Scaled(shared, 7.0)])
        assert not isinstance(again, StoredArrays)


def test_shared_arrays_are_read_only_to_other_processes(pool):
    H = np.zeros((2, 2))
    with pytest.raises(ValueError, match="read-only"):
        list(pool.map(functions.overwrite, [pool.share({"H": H})]))
    assert not H.any()


def test_every_engine_runs_tasks_at_one_thread(each):
    counts = {count for found in each.map(functions.thread_counts, [0, 1]) for count in found}
    assert counts == {1}


def test_the_first_failing_task_is_raised_with_its_number_and_message(each):
    with pytest.raises(InputError, match="row 2") as raised:
        list(each.map(functions.fail_from_two, range(4)))
    assert "row 2 is bad" in str(raised.value)
    assert raised.value.__notes__[-1] == "This was task 3 of 4."


def test_an_engine_works_on_after_a_failed_task(each):
    with pytest.raises(InputError):
        list(each.map(functions.fail_from_two, range(4)))
    assert list(each.map(functions.double, [1, 2, 3])) == [2, 4, 6]


def test_an_engine_works_on_after_results_that_nobody_took(each):
    found = each.map(functions.slow, range(6), 1)
    assert next(found) == 0
    found.close()
    assert list(each.map(functions.double, [1, 2, 3])) == [2, 4, 6]


def test_a_killed_worker_process_is_a_named_error_and_the_engine_works_on(pool):
    with pytest.raises(SolverError, match=r"a worker process died .*use fewer than 2 workers"):
        list(pool.map(functions.die, range(4)))
    assert list(pool.map(functions.double, [1, 2])) == [2, 4]


def test_files_of_shared_values_are_gone_with_the_engine():
    with engine("processes", 2) as workers:
        file = file_of(workers.share({"H": np.ones(5)}))
        assert file.exists()
    assert not file.parent.exists()


def test_a_value_that_is_dropped_leaves_no_file(pool):
    shared = pool.share({"H": np.ones(5)})
    assert file_of(shared).exists()
    shared.drop()
    assert not file_of(shared).exists()


def test_no_room_for_a_shared_value_is_a_named_error(pool, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("joblib.dump", full)
    with pytest.raises(InputError, match=r"cannot hold .*No space left.* set TMPDIR"):
        pool.share({"H": np.ones(2**20)})
