"""docs/format.md names all that a file may hold."""

from pathlib import Path

from sim_compress.activations import KINDS
from sim_compress.artifact.spec import WINDOW
from tools import read_artifact

ROOT = Path(__file__).parents[2]


def test_the_page_and_the_other_reader_have_the_window_of_the_metadata() -> None:
    assert f"\n    {WINDOW.decode()}\n" in (ROOT / "docs/format.md").read_text()
    assert read_artifact.WINDOW == WINDOW


def test_the_page_names_every_phi_with_its_attributes_and_formula() -> None:
    page = (ROOT / "docs/format.md").read_text()
    for name, kind in KINDS.items():
        attributes = ", ".join(f"`{a}`" for a in kind.attributes)
        formula = kind.formula.replace("|", "\\|")
        assert f"\n| `{name}` | {attributes} | {formula} |\n" in page
