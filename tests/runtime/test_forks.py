"""Processes that fork while other threads are inside calls."""

import os
import subprocess
import sys

import pytest

BEGIN = """
import os, signal, sys, threading, time
import numpy as np
from sim_compress.runtime import Session
from tests.networks import residual_network

model, kernel = residual_network(), sys.argv[1]
shared, given = Session(model, kernel=kernel, threads=2), np.ones((40, 2, 6, 6), np.float32)
expected = shared(given)["scores"]


def forked():
    # The status of a child that uses the session it inherited and one of its own.
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    # A child that waits for ever is ended.
    signal.alarm(60)
    for samples in (1, 9, 40):
        assert np.allclose(shared(given[:samples])["scores"], expected[:samples])
    assert np.allclose(Session(model, kernel=kernel, threads=2)(given[:1])["scores"], expected[:1])
    # Ends as a program does, with what is called at the end.
    sys.exit(0)
"""
UNDER_LOAD = """
CHILDREN = 8
stop = threading.Event()


def load():
    # Calls alone and in chunks, of sessions that are there and of new ones.
    n = 0
    while not stop.is_set():
        n += 1
        shared(given[: 1 + 8 * (n % 5)])
        if n % 10 == 0:
            Session(model, kernel=kernel, threads=2)(given[:2])
        time.sleep(0.001)


threads = [threading.Thread(target=load, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
results = [forked() for _ in range(CHILDREN)]
stop.set()
for thread in threads:
    thread.join()
assert results == [0] * CHILDREN, results
"""
# As the worst moments of the load: other threads are where each of these locks is held.
WITH_LOCKS_HELD = """
locks = [shared._lock]
if kernel == "numba":
    evaluator = shared._evaluator()
    team = evaluator._crew.team
    locks += [evaluator._hiring, team.lock, team._state._condition]
taken, done = threading.Event(), threading.Event()


def hold():
    for lock in locks:
        lock.acquire()
    taken.set()
    done.wait()


thread = threading.Thread(target=hold, daemon=True)
thread.start()
taken.wait()
results = [forked() for _ in range(2)]
done.set()
assert results == [0, 0], results
# A condition that nobody gives back is not asked at the end.
os._exit(0)
"""
# What is half done in another thread is finished before the process forks.
WHILE_COMPILING = """
from numba.core.compiler_lock import global_compiler_lock
from sim_compress.runtime.compiled.evaluator import _MAKING

order, taken = [], threading.Event()


def hold():
    with lock:
        taken.set()
        time.sleep(0.05)
        order.append("whole")


for lock in (global_compiler_lock, _MAKING):
    taken.clear()
    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    assert forked() == 0
    order.append("forked")
    thread.join()
assert order == ["whole", "forked"] * 2, order
"""


def run(kernel: str, script: str) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BEGIN + script, kernel]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@forks
@pytest.mark.parametrize("kernel", ["numba", "scipy"])
def test_a_child_of_a_process_whose_threads_are_inside_calls_answers(kernel):
    run(kernel, UNDER_LOAD)


@forks
@pytest.mark.parametrize("kernel", ["numba", "scipy"])
def test_a_child_answers_whatever_locks_other_threads_held(kernel):
    run(kernel, WITH_LOCKS_HELD)


@forks
def test_a_process_forks_when_programs_and_compiled_code_are_whole():
    run("numba", WHILE_COMPILING)
