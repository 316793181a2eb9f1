"""The runs of docs/mathematics.md give what the page shows."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "mathematics.md"


def test_the_runs_give_what_the_page_shows():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted >= 20
    assert result.failed == 0
