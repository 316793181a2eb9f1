"""What every engine promises, and that their results have the same bytes."""

import numpy as np
import pytest

from sim_compress.core.engines import engine
from sim_compress.errors import InputError, SolverError
from tests.core.engines import functions


@pytest.fixture(scope="module")
def features():
    return {"S": np.random.default_rng(0).standard_normal((300, 357))}


def test_results_come_in_the_order_of_the_tasks(either):
    assert either.map(functions.late_first, range(6)) == list(range(6))


def test_no_tasks_give_no_results(either):
    assert either.map(functions.double, []) == []


def test_fewer_tasks_than_workers_are_done(either):
    assert either.map(functions.double, [4]) == [8]


def test_progress_rises_to_one(either):
    seen = []
    either.map(functions.late_first, range(4), progress=seen.append)
    assert seen == [0.25, 0.5, 0.75, 1.0]


def test_results_have_the_same_bytes_for_any_number_of_workers(features, pool):
    tasks = [1.0, 0.5, 3.0, 0.1, 7.0]

    def bits(runner):
        results = runner.map(functions.linear_algebra, tasks, features)
        return [array.tobytes() for arrays in results for array in arrays]

    with engine("serial") as alone, engine("processes", 3) as several:
        expected = bits(alone)
        assert bits(several) == expected
    assert bits(pool) == expected


def test_a_function_sees_the_same_layout_in_every_engine(pool):
    block = np.arange(60.0).reshape(6, 10)
    shared = {"C": block, "F": block.T, "strided": block[::2, ::3], "scalar": np.array(2.0)}
    tasks = [block, block.T, block[1:4, 2:5]]
    with engine("serial") as alone:
        assert alone.map(functions.layouts, tasks, shared) == pool.map(functions.layouts, tasks, shared)


def test_a_result_does_not_share_memory_with_the_callers_arrays(either):
    H = np.arange(16.0).reshape(4, 4)
    (result,) = either.map(functions.corner, [3], {"H": H})
    assert np.array_equal(result, H[:3, :3])
    assert not np.shares_memory(result, H)
    result[0, 0] = 5.0


def test_shared_arrays_are_read_only(either):
    H = np.zeros((2, 2))
    with pytest.raises(ValueError, match="read-only"):
        either.map(functions.overwrite, [0], {"H": H})
    assert not H.any()


def test_a_function_cannot_change_its_callers_task(either):
    task = [1, 2]
    assert either.map(functions.change_task, [task]) == [3]
    assert task == [1, 2]


def test_the_first_failing_task_is_raised_with_its_number_and_message(either):
    with pytest.raises(InputError, match="row 2") as raised:
        either.map(functions.fail_from_two, range(4))
    assert str(raised.value) == "row 2 is bad"
    assert raised.value.__notes__[-1] == "This was task 3 of 4."


def test_an_engine_works_on_after_a_failed_task(either):
    with pytest.raises(InputError):
        either.map(functions.fail_from_two, range(4))
    assert either.map(functions.double, [1, 2, 3]) == [2, 4, 6]


def test_an_error_from_a_worker_shows_where_it_was_raised(pool):
    with pytest.raises(InputError) as raised:
        pool.map(functions.fail_from_two, [2])
    assert "in fail_from_two" in raised.value.__notes__[0]


def test_an_error_that_cannot_travel_keeps_its_name_and_message(pool):
    with pytest.raises(SolverError, match="OddError") as raised:
        pool.map(functions.fail_oddly, [0])
    assert str(raised.value) == "OddError: conv1: row 3"
    assert raised.value.__notes__[-1] == "This was task 1 of 1."


def test_a_result_that_cannot_travel_is_refused(either):
    with pytest.raises(TypeError, match="cannot pickle"):
        either.map(functions.open_file, [0])


def test_a_function_without_a_name_to_import_is_refused(either):
    with pytest.raises(Exception, match="<lambda>"):
        either.map(lambda *task: task, [0])


def test_an_array_of_python_objects_is_refused(either):
    with pytest.raises(InputError, match="'H' holds Python objects"):
        either.map(functions.double, [0], {"H": np.array([None])})
