"""Outcomes of row problems: every row counted, what is not solved said in a sentence."""

from dataclasses import replace

import numpy as np
import pytest

from sim_compress import Settings, compress
from sim_compress.compression.appraisal.outcomes import outcomes
from sim_compress.core import Solution, Status
from sim_compress.core.solvers import certified, native
from tests.compression.test_solvers import network
from tests.frontend.graphs import random


def ended(*status: Status, gap: float = 1e-7) -> Solution:
    return Solution(np.zeros((len(status), 2)), np.zeros(len(status)), np.full(len(status), gap), status)


def test_outcomes_are_counted_over_blocks_and_the_rest_has_a_sentence():
    found = outcomes(
        [
            ended(Status.OPTIMAL, Status.FALLBACK, gap=3e-7),
            ended(Status.OPTIMAL),
            ended(Status.SWEEPS, gap=0.1),
        ]
    )
    assert found.named == {"optimal": 2, "fallback": 1, "sweeps": 1}
    assert found.gap == 3e-7
    assert found.warnings == (f"1 row problems: {Status.SWEEPS.value}",)


def test_provenance_counts_every_row_of_the_network(tmp_path):
    result = compress(network(tmp_path), random(200, 12, seed=3), Settings(0.5))
    assert result.provenance["rows"] == {"optimal": 11, "gap": result.outcomes.gap}
    assert result.outcomes.gap <= 1e-6


@pytest.mark.parametrize("objective", ["l1", "perspective"])
def test_rows_that_the_native_solver_leaves_are_counted_as_fallbacks(tmp_path, monkeypatch, objective):
    complete = native.solve

    def hasty(*arguments, **named):
        return replace(complete(*arguments, **named), status=(Status.SWEEPS,) * len(arguments[0].g))

    monkeypatch.setattr(certified.native, "solve", hasty)
    result = compress(network(tmp_path), random(200, 12, seed=3), Settings(0.5, objective))
    left = 11 - result.outcomes.rows.get(Status.FALLBACK, 0)
    assert result.outcomes.rows[Status.FALLBACK] > 0
    # A back end that does no better than the native row does not replace it.
    assert result.outcomes.rows.get(Status.SWEEPS, 0) == left
