"""Some hundred spoilt ONNX networks; `python -m tools.fuzz networks` tries more."""

import pytest

from tools.fuzz.__main__ import said
from tools.fuzz.outcome import AGREED, FAULTS, REFUSED, Verdict
from tools.fuzz.watch import verdicts

CASES = 200


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return list(verdicts("networks", (), seed=0, cases=range(CASES)))


def test_every_spoilt_network_is_refused_by_name_or_agrees_with_onnxruntime(found: list[Verdict]) -> None:
    assert [said(v) for v in found if v.outcome in FAULTS] == []


def test_many_are_taken_and_many_refused(found: list[Verdict]) -> None:
    assert sum(v.outcome == AGREED for v in found) > CASES / 8
    assert sum(v.outcome == REFUSED for v in found) > CASES / 4
