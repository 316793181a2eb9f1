"""docs/operators.md says what the registry holds."""

from sim_compress.frontend import OPERATORS
from sim_compress.frontend.support import MEASURED, page
from tests.frontend.graphs import ROOT


def test_the_page_of_operators_is_the_one_the_registry_gives() -> None:
    text, _, _ = (ROOT / "docs/operators.md").read_text().partition(MEASURED)
    assert text.removesuffix("\n") == page(), "write it again as its first lines say"


def test_every_operator_is_on_the_page() -> None:
    assert all(f"| {name} |" in page() for name in OPERATORS)
