"""docs/format.md is enough: a reader written from it alone gives the rows that this package gives."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim_compress.artifact import encode, read, spec, write
from sim_compress.artifact.spec import block_part, output_part
from sim_compress.certificate import certify
from sim_compress.model import VALUES, ImplicitModel, rounded
from tools.read_artifact import DICTIONARY, rows_of

from .breaking import with_entry
from .crafting import encoded
from .models import feedforward_model, looped_model

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models/fashion_implicit.sim.safetensors"
MOST_LINES = 100


def rows_by_name(model: ImplicitModel) -> dict[str, np.ndarray]:
    """Every matrix and bias of a model by the name of its tensor."""
    rows: dict[str, np.ndarray] = {}
    for part_of, owners in ((block_part, model.blocks), (output_part, model.outputs)):
        for i, owner in enumerate(owners):
            part, affine = part_of(i), owner.affine
            if affine.bias is not None:
                rows[part.bias] = affine.bias
            for t, term in enumerate(affine.terms):
                if term.weight is not None:
                    rows[part.matrix(t, model.is_input(term.source))] = term.weight.toarray()
    return rows


def check_same_rows(path: Path) -> None:
    wanted, found = rows_by_name(read(path).model), rows_of(path)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], values), name


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("model", [feedforward_model(), looped_model()], ids=["acyclic", "loop"])
def test_a_reader_written_from_the_page_finds_the_same_rows(
    model: ImplicitModel, values: str, tmp_path: Path
) -> None:
    model = rounded(model, values)
    write(tmp_path / "m.safetensors", model, certify(model), {})
    check_same_rows(tmp_path / "m.safetensors")


def test_it_reads_the_artifact_that_ships() -> None:
    check_same_rows(SHIPPED)


def test_the_artifact_that_ships_is_what_this_version_writes() -> None:
    found = read(SHIPPED)
    assert encode(found.model, found.certificate, found.provenance) == SHIPPED.read_bytes()


def test_it_has_the_dictionary_of_the_page() -> None:
    page = (ROOT / "docs/format.md").read_text()
    block = page.split("```")[1]
    assert block.replace("\n", "").encode() == DICTIONARY == spec.DICTIONARY


def test_it_is_short_and_needs_numpy_and_the_standard_library_alone() -> None:
    text = (ROOT / "tools/read_artifact.py").read_text()
    assert text.count("\n") < MOST_LINES
    imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {(n.module or "") if isinstance(n, ast.ImportFrom) else n.names[0].name for n in imports}
    assert {n.split(".")[0] for n in names} - sys.stdlib_module_names == {"numpy"}


def test_it_prints_what_a_file_holds(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(encoded(feedforward_model()))
    command = [sys.executable, "tools/read_artifact.py", str(tmp_path / "m.safetensors")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "B.0.0: (8, 27), 43 nonzeros\n" in run.stdout


def test_it_refuses_a_damaged_file(tmp_path: Path) -> None:
    data = np.frombuffer(encoded(feedforward_model()), np.uint8)
    (tmp_path / "m.safetensors").write_bytes(with_entry(-1, data[-1] ^ 1)(data).tobytes())
    with pytest.raises(ValueError, match="digest"):
        rows_of(tmp_path / "m.safetensors")
