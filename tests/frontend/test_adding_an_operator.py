"""The example of docs/adding_an_operator.md runs as it stands."""

import re
from pathlib import Path

import pytest

from sim_compress.frontend import OPERATORS
from tests.frontend.graphs import ROOT


def test_the_operator_of_the_page_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler, check = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/adding_an_operator.md").read_text(), re.S
    )
    # Recorded first, so that the registry is as before when this test is over.
    monkeypatch.setitem(OPERATORS, "Tile", OPERATORS["Identity"])
    scope: dict = {"__name__": "sim_compress.frontend.operators.example"}
    exec(handler, scope)
    exec(check, scope)
    scope["test_tiles_are_exact"](tmp_path)
