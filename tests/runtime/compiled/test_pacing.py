"""Pacing: the way that is faster most of the time is kept, and tried again after a while."""

import pytest

from sim_compress.runtime.compiled.pacing import SETTLED, TRIAL, TRIED, Pacing


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
