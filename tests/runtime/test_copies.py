"""Loaded models go where Python objects go: copies, pickles, other processes."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from sim_compress.runtime import Session, Tolerance
from tests.networks import residual_network

COPIES = {
    "pickle": lambda s: pickle.loads(pickle.dumps(s)),
    "old protocol": lambda s: pickle.loads(pickle.dumps(s, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def inputs(samples: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((samples, 2, 6, 6)).astype(np.float32)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kernel", ["numba", "scipy", None])
@pytest.mark.parametrize("called", [True, False])
def test_a_copy_of_a_session_gives_the_same_outputs(way, kernel, called):
    session, u = Session(residual_network(), Tolerance(residual=1e-3), kernel, threads=2), inputs(3)
    if called:
        session(u)
    other = COPIES[way](session)
    assert (other.kernel, other.threads, other.tolerance) == (session.kernel, 2, session.tolerance)
    for name, outputs in session(u).items():
        np.testing.assert_array_equal(other(u)[name], outputs)


def test_what_was_left_open_is_chosen_where_the_copy_is(monkeypatch):
    content = pickle.dumps(Session(residual_network()))
    monkeypatch.setattr("sim_compress.runtime.kernel.find_spec", lambda _: None)
    assert pickle.loads(content).kernel == "scipy"


def test_a_shallow_copy_shares_the_model_and_a_deep_one_does_not():
    session = Session(residual_network())
    assert copy.copy(session).model is session.model
    assert copy.deepcopy(session).model is not session.model


def test_a_pool_of_new_processes_calls_a_session():
    session, u = Session(residual_network(), threads=1), inputs(2)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        found = pool.submit(session, u).result()
    for name, outputs in session(u).items():
        np.testing.assert_array_equal(found[name], outputs)
