"""The compiled evaluator: threads and memory."""

import os
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from sim_compress.runtime import Session
from sim_compress.runtime.compiled.evaluator import PROGRAMS, CompiledEvaluator
from sim_compress.runtime.compiled.threads.team import keep_to, other_processors
from tests.networks import loop, residual_network

# Python objects of a call and its outputs; far below the states of these networks.
CALL_MEMORY = 20_000


def inputs(samples: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((samples, 2, 6, 6)).astype(np.float32)


def numba_session(threads: int) -> Session:
    return Session(residual_network(), kernel="numba", threads=threads)


def test_one_thread_starts_no_other():
    before = set(threading.enumerate())
    numba_session(1)(inputs(40))
    assert set(threading.enumerate()) <= before


def test_the_threads_of_a_session_end_with_it():
    before = set(threading.enumerate())
    session = numba_session(3)
    session(inputs(1))
    helpers = set(threading.enumerate()) - before
    assert len(helpers) == 2
    del session
    for helper in helpers:
        helper.join(timeout=10)
        assert not helper.is_alive()


@pytest.mark.parametrize("threads", [1, 2])
def test_callers_may_share_a_session(threads):
    session, expected = numba_session(threads), numba_session(1)
    batches = [inputs(n) for n in (1, 1, 3, 40, 1, 9)] * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(session.predict, batches))
    for u, outputs in zip(batches, found, strict=True):
        for name, y in expected.predict(u).items():
            np.testing.assert_array_equal(outputs[name], y)


def test_many_calls_with_helpers_give_the_same_bits():
    session, alone = numba_session(2), numba_session(1)
    u = inputs(1)
    expected = alone.predict(u)["scores"]
    for _ in range(200):
        np.testing.assert_array_equal(session.predict(u)["scores"], expected)


def test_the_same_batch_size_again_allocates_nothing_but_its_outputs():
    session, u = numba_session(1), inputs(8)
    session(u)
    tracemalloc.start()
    session(u)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < CALL_MEMORY


def test_inputs_may_be_read_only_views_of_another_dtype():
    u = inputs(6)
    expected = numba_session(1).predict(u)["scores"]
    frozen = np.asfortranarray(u.astype(np.float64))
    frozen.flags.writeable = False
    np.testing.assert_array_equal(numba_session(1).predict(frozen)["scores"], expected)


def test_programs_of_other_batch_sizes_are_forgotten_one_by_one():
    session, u = Session(loop(), kernel="numba", threads=1), np.ones((PROGRAMS + 2, 3), np.float32)
    expected = session(u[:1])
    evaluator = session._evaluator()
    assert isinstance(evaluator, CompiledEvaluator)
    if evaluator._chunk < PROGRAMS + 2:
        pytest.skip("chunks have fewer samples on this processor")
    for samples in range(1, PROGRAMS + 3):
        session(u[:samples])
    programs: Any = evaluator._programs
    kept = programs.cache_info()
    assert kept.currsize == PROGRAMS
    session(u[:3])
    assert programs.cache_info().hits == kept.hits + 1
    session(u[:2])
    assert programs.cache_info().misses == kept.misses + 1
    np.testing.assert_array_equal(session(u[:1]), expected)


def test_a_loop_gives_residuals_and_counts_for_each_sample():
    u = np.random.default_rng(1).standard_normal((70, 3)).astype(np.float32)
    u[7] = 0
    solutions = [Session(loop(), kernel=k, threads=1).solve(u) for k in ("numba", "scipy")]
    for convergence in (s.convergence for s in solutions):
        assert convergence is not None
        assert convergence.converged.all()
        assert convergence.iterations.shape == convergence.residuals.shape == (70,)
    assert isinstance(Session(loop(), kernel="numba")._evaluator(), CompiledEvaluator)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity here")
def test_helpers_keep_off_their_callers_processor_and_take_what_they_are_given():
    every = os.sched_getaffinity(0)
    assert other_processors() < every or len(every) == 1
    seen: list[set[int]] = []

    def helper(processors: set[int]) -> None:
        keep_to(processors)
        seen.append(os.sched_getaffinity(0))

    # No such processor: the thread stays where it may be.
    for processors in ({min(every)}, set[int](), {10**4}):
        thread = threading.Thread(target=helper, args=(processors,))
        thread.start()
        thread.join()
    assert seen == [{min(every)}, every, every]
    assert os.sched_getaffinity(0) == every
