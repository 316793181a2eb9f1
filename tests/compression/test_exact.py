"""Exact matching in the pipeline: the teacher's outputs on every sample, or a named refusal."""

import numpy as np
import pytest

from sim_compress import Settings, compress, open_teacher
from sim_compress.compression.methods.exact import matched
from sim_compress.core import L1, Block, solver
from sim_compress.errors import SolverError
from sim_compress.runtime import Session
from tests.compression.test_solvers import network
from tests.core.problems import row_problems
from tests.frontend.graphs import random

# Rows are cast to float32, and matched to 1e-3 of their deviation (1e-6 of its square).
ROUNDING = 2e-3
FEW = random(4, 12, seed=3)


@pytest.mark.parametrize("solver", ["native", "clarabel"])
@pytest.mark.parametrize("objective", ["l1", "perspective"])
def test_outputs_are_the_teachers_on_every_sample_and_rows_are_sparse(tmp_path, solver, objective):
    path = network(tmp_path)
    result = compress(path, FEW, Settings(0.1, objective, solver=solver, matching="exact"))
    expected = Session(open_teacher(path).model)(FEW)
    assert np.abs(Session(result.model)(FEW) - expected).max() <= ROUNDING * np.abs(expected).max()
    assert result.sparsity > 0.1
    assert result.provenance["rows"] == {"optimal": 11, "gap": result.outcomes.gap}


def test_l1_rows_need_no_more_weights_than_there_are_samples(tmp_path):
    model = compress(network(tmp_path), FEW, Settings(0.1, "l1", matching="exact")).model
    for _, affine in model.affines():
        for weight in affine.weights:
            # Centred samples: one less.
            assert np.diff(weight.indptr).max() <= len(FEW) - 1


def test_a_sparsity_that_exact_rows_do_not_reach_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(SolverError, match=r"keeps \d+ weights.*fewer samples.*relaxed matching"):
        compress(network(tmp_path), FEW, Settings(0.9, matching="exact"))


def test_rows_that_no_row_matches_are_refused_by_block():
    blocks = {"hidden": (Block(row_problems(points=400, damping=0.0), L1),)}
    with pytest.raises(SolverError, match="block 'hidden': 5 of 5 rows: No row in the constraints"):
        matched(blocks, 120, solver("native"), None)
