"""Some hundred spoilt artifacts; `python -m tools.fuzz artifacts` tries tens of thousands."""

import pytest

from tools.fuzz.__main__ import said
from tools.fuzz.outcome import AGREED, FAULTS, REFUSED, Verdict
from tools.fuzz.watch import verdicts

CASES = 200


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return list(verdicts("artifacts", (), seed=0, cases=range(CASES)))


def test_every_spoilt_artifact_is_refused_by_name_or_gives_the_same_numbers_twice(
    found: list[Verdict],
) -> None:
    assert [said(v) for v in found if v.outcome in FAULTS] == []


def test_every_case_is_judged_once(found: list[Verdict]) -> None:
    assert [v.case for v in found] == list(range(CASES))


def test_many_are_taken_and_many_refused(found: list[Verdict]) -> None:
    assert sum(v.outcome == AGREED for v in found) > CASES / 8
    assert sum(v.outcome == REFUSED for v in found) > CASES / 4
