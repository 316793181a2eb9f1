"""Paths of supports, and the look-up that spreads one count over blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import L1, Block, Penalty, allocate, path, solve, trace
from sim_compress.core.gram import Matrix
from sim_compress.core.path import empty_path, longer_path
from tests.core.problems import ball_of, row_problems, some_rows
from tests.workers import WORKERS

ALPHAS: Matrix = 0.5 / np.power(1.3, np.arange(20.0))


@pytest.mark.parametrize("penalty", [L1, Penalty(0.1)], ids=["l1", "perspective"])
@pytest.mark.parametrize("radius", [np.inf, 0.5], ids=["free", "kappa active"])
def test_supports_along_a_path_are_those_of_single_solves(penalty, radius):
    problems = row_problems()
    ball = ball_of(problems, radius)
    found = path(problems, penalty, ALPHAS, ball, tolerance=1e-9)
    for step in (0, 7, 19):
        alone = solve(problems, penalty, ALPHAS[step], ball=ball, tolerance=1e-9)
        # Both stop at a gap of 1e-9: an entry at its threshold may differ.
        assert np.sum(found.support(step) != alone.support) <= 1
        assert found.counts[step] == found.support(step).sum()


def test_a_path_that_goes_on_is_the_same_as_one_in_one_piece():
    problems = row_problems()
    whole = path(problems, L1, ALPHAS)
    first = path(problems, L1, ALPHAS[:8])
    pieces = longer_path(first, problems, L1, ALPHAS[8:])
    assert np.array_equal(pieces.packed, whole.packed)
    assert np.array_equal(pieces.alphas, whole.alphas)
    assert np.array_equal(pieces.rows, whole.rows)


def test_a_path_without_alphas_or_rows_is_empty():
    assert empty_path(row_problems()).counts.shape == (0,)
    nothing = path(some_rows(row_problems(), slice(0)), L1, ALPHAS)
    assert not nothing.counts.any()


def blocks_of(penalty: Penalty) -> list[Block]:
    problems = [row_problems(seed=seed, features=10 + 8 * seed) for seed in range(4)]
    return [Block(p, penalty, ball_of(p, 2.0)) for p in problems]


@pytest.mark.parametrize("penalty", [L1, Penalty(0.1)], ids=["l1", "perspective"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_allocation_meets_the_count_with_one_alpha(penalty, part):
    blocks = blocks_of(penalty)
    size = sum(b.problems.g.size for b in blocks)
    allocation = allocate(trace(blocks, round(part * size), WORKERS), round(part * size))
    assert sum(allocation.counts) == round(part * size)
    for block, count in zip(blocks, allocation.counts, strict=True):
        support = solve(block.problems, penalty, allocation.alpha, ball=block.ball).support
        # Counts are interpolated between two alphas of the path; entries at the threshold may differ.
        assert abs(int(support.sum()) - count) <= 0.1 * support.size


@given(counts=st.lists(st.integers(0, 440), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_any_count_can_be_looked_up_on_the_paths_of_the_largest(counts):
    blocks = blocks_of(L1)
    sizes = [b.problems.g.size for b in blocks]
    assert sum(sizes) == 440
    paths = trace(blocks, max(counts), WORKERS)
    for count in counts:
        allocation = allocate(paths, count)
        assert sum(allocation.counts) == count
        assert all(0 <= c <= size for c, size in zip(allocation.counts, sizes, strict=True))


def test_more_entries_than_the_path_can_hold_are_spread_over_what_has_room():
    """On fewer points than features l1 supports stay below the rank."""
    blocks = [Block(row_problems(points=8, damping=0.0), L1)]
    allocation = allocate(trace(blocks, 100, WORKERS), 100)
    assert allocation.counts == (100,)
    assert allocate(trace(blocks, 1000, WORKERS), 1000).counts == (120,)


def test_rows_of_zeros_have_paths_too():
    problems = row_problems(rows=1)
    problems.g[:], problems.c[:] = 0.0, 0.0
    assert allocate(trace([Block(problems, L1)], 3, WORKERS), 3).counts == (3,)


def test_progress_ends_at_one_when_the_count_is_reached():
    seen: list[float] = []
    trace(blocks_of(L1), 100, WORKERS, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
