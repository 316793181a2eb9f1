"""Errors survive the way back from a worker process."""

import pickle

from sim_compress.errors import MissingExtraError


def test_a_missing_extra_says_the_same_after_pickling():
    error = MissingExtraError("cvxpy", "conic", "The solver 'clarabel'")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is MissingExtraError
    assert str(again) == str(error)
    assert "pip install 'sim-compress[conic]'" in str(again)
