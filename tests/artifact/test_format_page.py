"""docs/format.md is enough to read a matrix: a second reader, written from the page alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from sim_compress.activations import KINDS
from sim_compress.model import ImplicitModel

from .crafting import encoded
from .models import feedforward_model, looped_model

ROOT = Path(__file__).parents[2]


def bits(stored: np.ndarray, width: int, index: int) -> int:
    """The number at an index, each `width` bits long."""
    return int.from_bytes(stored.tobytes(), "little") >> (width * index) & ((1 << width) - 1)


def matrix(tensors: dict[str, np.ndarray], name: str, rows: int, k: int, groups: int) -> np.ndarray:
    """A (rows, k) matrix in any layout."""
    w = k // groups
    narrow = np.zeros((rows, w), np.float32)
    if f"{name}.dense" in tensors:
        narrow[:] = tensors[f"{name}.dense"]
    elif f"{name}.bitmap" in tensors:
        places = [n for n in range(rows * w) if bits(tensors[f"{name}.bitmap"], 1, n)]
        narrow.flat[places] = tensors[f"{name}.values"]
    else:
        width = int(np.ceil(np.log2(w)))
        row_of = [r for r, count in enumerate(tensors[f"{name}.counts"]) for _ in range(count)]
        for n, (r, value) in enumerate(zip(row_of, tensors[f"{name}.values"], strict=True)):
            narrow[r, bits(tensors[f"{name}.indices"], width, n)] = value
    wide = np.zeros((rows, k), np.float32)
    for r in range(rows):
        first = r * groups // rows * w
        wide[r, first : first + w] = narrow[r]
    return wide


@pytest.mark.parametrize("model", [feedforward_model(), looped_model()], ids=["acyclic", "loop"])
def test_a_reader_written_from_the_page_finds_every_weight(model: ImplicitModel, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(encoded(model))
    with safe_open(tmp_path / "m.safetensors", framework="np") as file:
        metadata = json.loads(file.metadata()["sim_compress"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    found = []
    for letters, part in (("AB", "blocks"), ("CD", "outputs")):
        for i, entry in enumerate(metadata[part]):
            for t, term in enumerate(entry["terms"]):
                from_input = term["source"] < len(metadata["inputs"])
                if "groups" in term:
                    found.append((f"{letters[from_input]}.{i}.{t}", term["groups"]))
    wanted = [w.toarray() for _, affine in model.affines() for w in affine.weights]
    assert len(found) == len(wanted)
    for (name, groups), weight in zip(found, wanted, strict=True):
        assert np.array_equal(matrix(tensors, name, weight.shape[0], weight.shape[1], groups), weight)


def test_the_page_names_every_phi_with_its_attributes_and_formula() -> None:
    page = (ROOT / "docs/format.md").read_text()
    for name, kind in KINDS.items():
        attributes = ", ".join(f"`{a}`" for a in kind.attributes)
        formula = kind.formula.replace("|", "\\|")
        assert f"\n| `{name}` | {attributes} | {formula} |\n" in page
