"""The user's own f and C in the pipeline: as good as the native objective, C kept by the final rows."""

import cvxpy as cp
import numpy as np
import pytest

from sim_compress import Convex, Settings, compress
from sim_compress.errors import InputError, SolverError
from sim_compress.runtime import Session
from tests.compression.test_solvers import network
from tests.frontend.graphs import random

# Interior points leave constraints by their tolerance, then weights are cast to float32.
ROUNDING = 1e-6
SETTINGS = Settings(0.4, solver="clarabel")


def test_l1_as_a_function_is_as_good_as_the_native_l1(tmp_path):
    path, u = network(tmp_path), random(200, 12, seed=3)
    teacher = Session(compress(path, u, Settings(0.01)).model)(u)
    given = compress(path, u, SETTINGS, convex=Convex(cp.norm1))
    native = compress(path, u, Settings(0.4, "l1", states="baseline"))
    errors = [np.linalg.norm(Session(r.model)(u) - teacher) for r in (given, native)]
    assert given.model.nnz == native.model.nnz
    # The native rows' support is polished besides.
    assert errors[0] <= 1.3 * errors[1]
    assert given.provenance["rows"] == {"optimal": 11, "gap": 0.0}


def test_every_row_lies_in_c(tmp_path):
    path, u = network(tmp_path), random(200, 12, seed=3)
    result = compress(path, u, SETTINGS, convex=Convex(cp.norm1, lambda v: [v >= 0]))
    values = np.concatenate([w.data for _, a in result.model.affines() for w in a.weights])
    assert values.size
    assert values.min() >= -ROUNDING * values.max()


def test_an_empty_c_names_the_block_and_the_row(tmp_path):
    nowhere = Convex(cp.norm1, lambda v: [v >= 1, v <= -1])
    with pytest.raises(SolverError, match="row 0: no row lies in C"):
        compress(network(tmp_path), random(200, 12, seed=3), SETTINGS, convex=nowhere)


def test_the_native_solver_refuses_a_convex_function(tmp_path):
    with pytest.raises(InputError, match="solver='clarabel'"):
        compress(tmp_path / "none.onnx", random(2, 12), Settings(0.5), convex=Convex(cp.norm1))
