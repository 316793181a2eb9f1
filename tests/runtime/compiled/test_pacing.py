"""The faster way is kept and tried again after a while; helpers stay where the next call comes soon."""

import pytest

from sim_compress.runtime.compiled.threads.pacing import (
    BACK_TO_BACK,
    LEAST,
    RESTS,
    SETTLED,
    TRIAL,
    TRIED,
    Attendance,
    Pacing,
)


def ways(pacing: Pacing, calls: int, together: float, alone: float, rests: range = range(0)) -> list[bool]:
    """Which way each call went; after a rest it takes ten times as long."""
    taken = []
    for call in range(calls):
        taken.append(pacing.together())
        pacing.took((together if taken[-1] else alone) * (10 if call in rests else 1))
    return taken


@pytest.mark.parametrize(("together", "alone"), [(1.0, 2.0), (2.0, 1.0)])
@pytest.mark.parametrize("rests", [range(0), range(2 * TRIAL)], ids=["no rest", "a rest at the start"])
def test_the_faster_way_is_kept(together, alone, rests):
    pacing = Pacing()
    tried = ways(pacing, TRIED, together, alone, rests)
    assert tried.count(True) == tried.count(False)
    assert set(ways(pacing, SETTLED, together, alone)) == {together < alone}


def test_both_ways_are_tried_again_when_times_change():
    pacing = Pacing()
    ways(pacing, TRIED + SETTLED, 1.0, 2.0)
    assert set(ways(pacing, TRIED, 3.0, 2.0)) == {True, False}
    assert not pacing.together()


def stays(*rests: float) -> float:
    """How long helpers stay after runs with these rests before them."""
    attendance, now = Attendance(), 0.0
    for rest in rests:
        now += rest
        attendance.began(now)
        attendance.ended(now)
    return attendance.seconds


def test_helpers_stay_while_runs_come_back_to_back():
    assert stays(*[20e-6] * RESTS) == pytest.approx(40e-6)
    assert stays(*[1e-6] * RESTS) == LEAST


def test_helpers_go_at_once_where_runs_have_pauses_or_nothing_is_known():
    assert stays() == LEAST
    assert stays(20e-6) == LEAST
    assert stays(*[1e-3] * RESTS) == LEAST
    assert stays(*[20e-6] * RESTS, *[1e-3] * RESTS) == LEAST


def test_one_pause_is_no_habit():
    assert stays(*[20e-6] * RESTS, 1e-3) == pytest.approx(40e-6)


def test_helpers_never_stay_longer_than_twice_the_longest_short_rest():
    assert stays(*[BACK_TO_BACK] * RESTS) <= 2 * BACK_TO_BACK + 1e-12
