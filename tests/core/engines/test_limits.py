"""One thread while tasks run, the caller's own number afterwards."""

import os
import sys

import numba
import numpy as np
import pytest

from sim_compress.core.engines import Here, available_cpus, one_thread
from tests.core.engines.functions import Scaled, linear_algebra, thread_counts


def test_the_callers_thread_counts_come_back_even_after_an_error():
    before = thread_counts(0)
    inside = []

    def fail_after_counting() -> None:
        inside.extend(thread_counts(0))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), one_thread():
        fail_after_counting()
    assert set(inside) == {1}
    assert thread_counts(0) == before


@pytest.mark.skipif(numba.get_num_threads() < 2, reason="one CPU: there is no second thread to hold back")
def test_more_threads_give_other_bits_so_holding_them_matters():
    task = Scaled(Here({"S": np.random.default_rng(0).standard_normal((300, 357))}), 1.0)
    with one_thread():
        held = linear_algebra(task)
    free = linear_algebra(task)
    assert any(a.tobytes() != b.tobytes() for a, b in zip(held, free, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which CPUs a process may use")
def test_cpus_are_counted_that_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert available_cpus() == len(allowed)
