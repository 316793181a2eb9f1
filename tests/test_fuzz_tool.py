"""The tool that watches spoilt files sees every way in which a case can end, and goes on behind it."""

import sys

import pytest

from tools.fuzz.outcome import AGREED, CRASHED, DISAGREED, HUNG, OVER_MEMORY, REFUSED, Verdict
from tools.fuzz.watch import verdicts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
ENDS = [AGREED, REFUSED, CRASHED, CRASHED, HUNG, OVER_MEMORY, CRASHED, DISAGREED]


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return list(verdicts("tests.fuzz_subject", (), seed=0, cases=range(len(ENDS))))


def test_every_end_is_seen_and_the_next_case_is_judged(found: list[Verdict]) -> None:
    assert [(v.case, v.outcome) for v in found] == list(enumerate(ENDS))


def test_a_fault_says_what_happened(found: list[Verdict]) -> None:
    assert "refused in words" in found[1].detail
    assert "KeyError: 'a traceback'" in found[2].detail
    assert "a word of a library" in found[6].detail


def test_one_case_alone_ends_as_it_does_among_others() -> None:
    (alone,) = verdicts("tests.fuzz_subject", (), seed=0, cases=range(5, 6))
    assert alone.outcome == OVER_MEMORY
