"""docs/format.md names all that a file may hold."""

from pathlib import Path

from sim_compress.activations import KINDS

ROOT = Path(__file__).parents[2]


def test_the_page_names_every_phi_with_its_attributes_and_formula() -> None:
    page = (ROOT / "docs/format.md").read_text()
    for name, kind in KINDS.items():
        attributes = ", ".join(f"`{a}`" for a in kind.attributes)
        formula = kind.formula.replace("|", "\\|")
        assert f"\n| `{name}` | {attributes} | {formula} |\n" in page
