"""The ray engine keeps the same promises; most tests run where ray is installed."""

import sys

import numpy as np
import pytest

from sim_compress.core.engines import engine
from sim_compress.errors import InputError, MissingExtraError, SolverError
from tests.core.engines import functions


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="the ray extra is not installed")
    with engine("ray", 2) as workers:
        yield workers


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r"engine 'ray' needs .* 'sim-compress\[ray\]'"),
        engine("ray"),
    ):
        pass


def test_results_are_ordered_and_have_the_bytes_of_the_serial_engine(cluster):
    shared = {"S": np.asfortranarray(np.random.default_rng(0).standard_normal((300, 357)))}
    tasks = [1.0, 0.5, 3.0]
    with engine("serial") as alone:
        expected = alone.map(functions.linear_algebra, tasks, shared)
    found = cluster.map(functions.linear_algebra, tasks, shared)
    assert [[a.tobytes() for a in arrays] for arrays in found] == [
        [a.tobytes() for a in arrays] for arrays in expected
    ]


def test_the_first_failing_task_is_raised_with_its_number_and_message(cluster):
    with pytest.raises(InputError, match="row 2") as raised:
        cluster.map(functions.fail_from_two, range(4))
    assert str(raised.value) == "row 2 is bad"
    assert raised.value.__notes__[-1] == "This was task 3 of 4."


def test_a_killed_worker_is_a_named_error_and_the_engine_works_on(cluster):
    with pytest.raises(SolverError, match="the cluster lost task 2"):
        cluster.map(functions.die, range(2))
    assert cluster.map(functions.double, [1, 2, 3]) == [2, 4, 6]
