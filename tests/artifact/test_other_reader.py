"""docs/format.md is enough: a reader written from it alone gives the rows that this package gives."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim_compress.artifact import encode, read
from sim_compress.artifact.spec import block_part, output_part
from sim_compress.model import VALUES, ImplicitModel, rounded
from tools.read_artifact import read as read_by_the_page

from .crafting import Crafted, encoded, sealed
from .models import feedforward_model, looped_model

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models/fashion_implicit.sim.safetensors"
MOST_LINES = 150
MODELS = pytest.mark.parametrize("model", [feedforward_model(), looped_model()], ids=["acyclic", "loop"])


def check_same_rows(path: Path) -> None:
    """Every matrix and bias, by the names that the page gives them."""
    model, found = read(path).model, read_by_the_page(path)
    names = set()
    for i, owner in enumerate((*model.blocks, *model.outputs)):
        part = block_part(i) if i < len(model.blocks) else output_part(i)
        affine = owner.affine
        if affine.bias is not None:
            assert found.biases[part.bias].dtype == np.float32
            assert np.array_equal(found.biases[part.bias], affine.bias)
        for t, term in enumerate(affine.terms):
            if term.weight is not None:
                name = part.matrix(t, model.is_input(term.source))
                matrix = found.matrices[name]
                assert matrix.dtype == np.float32
                assert matrix.nnz == term.weight.nnz
                assert np.array_equal(matrix.toarray(), term.weight.toarray())
                names.add(name)
    assert set(found.matrices) == names


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("shared", [False, True])
@MODELS
def test_a_reader_written_from_the_page_finds_the_same_matrices(
    model: ImplicitModel, shared: bool, values: str, tmp_path: Path
) -> None:
    crafted = Crafted.of(rounded(model, values), shared)
    (tmp_path / "m.safetensors").write_bytes(crafted.bytes())
    check_same_rows(tmp_path / "m.safetensors")


def test_it_reads_the_artifact_that_ships() -> None:
    check_same_rows(SHIPPED)


def test_the_artifact_that_ships_is_what_this_version_writes() -> None:
    found = read(SHIPPED)
    assert encode(found.model, found.certificate, found.provenance) == SHIPPED.read_bytes()


def test_it_is_short_and_needs_numpy_scipy_and_safetensors_alone() -> None:
    text = (ROOT / "tools/read_artifact.py").read_text()
    assert text.count("\n") < MOST_LINES
    imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {(n.module or "") if isinstance(n, ast.ImportFrom) else n.names[0].name for n in imports}
    packages = {n.split(".")[0] for n in names} - sys.stdlib_module_names
    assert packages == {"numpy", "scipy", "safetensors"}


def test_it_prints_what_a_file_holds(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(encoded(feedforward_model()))
    command = [sys.executable, "tools/read_artifact.py", str(tmp_path / "m.safetensors")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "B.0.0: (8, 27), 43 nonzeros\n" in run.stdout
    assert "bias.7: (6,)\n" in run.stdout


def test_it_refuses_a_damaged_file(tmp_path: Path) -> None:
    data = bytearray(encoded(feedforward_model()))
    data[-1] ^= 1
    (tmp_path / "m.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match="digest"):
        read_by_the_page(tmp_path / "m.safetensors")


@pytest.mark.parametrize(("text", "version"), [("{}", 5), ('{"needs": ["int8"]}', 4)])
def test_it_refuses_what_the_page_does_not_know(text: str, version: int, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(sealed(text, {}, version))
    with pytest.raises(ValueError, match=r"version 4, found 5|needs"):
        read_by_the_page(tmp_path / "m.safetensors")
