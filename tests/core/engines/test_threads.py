"""One thread while tasks run, the caller's own number afterwards."""

import os

import numba
import numpy as np
import pytest

from sim_compress.core.engines.threads import VARIABLES, one_thread, one_thread_for_new_processes
from tests.core.engines.functions import linear_algebra, thread_counts


def test_every_engine_runs_tasks_at_one_thread(either):
    pytest.importorskip("threadpoolctl", reason="threadpoolctl counts the threads independently")
    assert {count for counts in either.map(thread_counts, [0, 1]) for count in counts} == {1}


def test_the_callers_thread_counts_come_back_even_after_an_error():
    pytest.importorskip("threadpoolctl", reason="threadpoolctl counts the threads independently")
    before = thread_counts()
    inside = []

    def fail_after_counting() -> None:
        inside.extend(thread_counts())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), one_thread():
        fail_after_counting()
    assert set(inside) == {1}
    assert thread_counts() == before


def test_numba_is_held_and_restored():
    before = numba.get_num_threads()
    with one_thread():
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before


def test_the_environment_is_set_for_new_processes_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with one_thread_for_new_processes():
        assert {os.environ[name] for name in VARIABLES} == {"1"}
    assert dict(os.environ) == before


@pytest.mark.skipif(numba.get_num_threads() < 2, reason="one CPU: there is no second thread to hold back")
def test_more_threads_give_other_bits_so_holding_them_matters():
    S = np.random.default_rng(0).standard_normal((300, 357))
    with one_thread():
        held = linear_algebra({"S": S}, 1.0)
    free = linear_algebra({"S": S}, 1.0)
    assert any(a.tobytes() != b.tobytes() for a, b in zip(held, free, strict=True))
