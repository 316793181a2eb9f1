"""onnx's own backend cases: every one that the front end accepts is exact."""

from collections import defaultdict

import pytest

from sim_compress.frontend import OPERATORS
from tests.frontend.backend_cases import FAILED, PASSED, Case, cases, outcome

# Operators whose cases are all refused: their results depend on no input but its shape, or each sample has a
# length of its own.
NOTHING_ACCEPTED = frozenset({"ReverseSequence", "Shape", "Size"})


def _by_operator() -> dict[str, list[Case]]:
    found = defaultdict(list)
    for case in cases():
        # A case of several operators, as the expansion of a function, belongs to the first by name.
        found[min(case.operators)].append(case)
    return dict(found)


@pytest.fixture(scope="module")
def by_operator() -> dict[str, list[Case]]:
    return _by_operator()


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_no_case_of_an_operator_is_wrong(operator: str, by_operator: dict[str, list[Case]]) -> None:
    found = {case.name: outcome(case) for case in by_operator.get(operator, [])}
    if not found:
        pytest.skip("onnx has no case of this operator with an activation of floats")
    assert not [name for name, result in found.items() if result == FAILED]
    assert PASSED in found.values() or operator in NOTHING_ACCEPTED
