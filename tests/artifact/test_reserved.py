"""Room for whole numbers with a scale for every row, as docs/format.md reserves it."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.artifact.container import digest
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term

from .breaking import refusal
from .crafting import Crafted

# Rows of whole numbers, and of their scales a number for each.
WHOLE = np.array([[7, 0, -3], [0, 0, 5], [-8, 1, 0], [2, 2, 2]], np.int8)
SCALES = np.array([0.5, 3e-5, 1e6, 0.1], np.float32)


def quantised(kind: str, needs: list[str]) -> bytes:
    """A file whose matrix B.0.0 has values of this kind, written by safetensors' own writer."""
    weight = sparse.csr_array(WHOLE * SCALES[:, None])
    affine = Affine((4,), (Term("u", (), weight),))
    block = StateBlock("x", affine, Activation("relu"))
    crafted = Crafted.of(
        ImplicitModel((Input("u", (3,)),), (block,), (Output("y", Affine((4,), (Term("x"),))),))
    )
    fields = crafted.metadata["blocks"][0]["terms"][0]["weight"]
    fields["values"] = kind
    fields.pop("exponent", None)
    numbers = WHOLE[WHOLE != 0]
    halves = np.append(numbers, np.zeros(len(numbers) % 2, np.int8)).view(np.uint8) & 15
    stored = {"int8": numbers, "int4": halves[::2] | halves[1::2] << 4}[kind]
    tensors = {"B.0.0.values": stored, "B.0.0.scales": SCALES}
    tensors["B.0.0.support"] = crafted.array("B.0.0.support")
    head = {"digest": "0" * 64, "version": 4, **({"needs": needs} if needs else {}), **crafted.metadata}
    blank = save(tensors, {"sim_compress": json.dumps(head, separators=(",", ":"))})
    return blank.replace(b"0" * 64, digest(blank).encode(), 1)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_file_of_whole_numbers_is_refused_by_the_word_it_needs(kind: str, tmp_path: Path) -> None:
    said = refusal(quantised(kind, [kind]), tmp_path)
    assert f"the file needs {kind!r}, which this program does not know: run  pip install" in said
    assert "\n" not in said


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_file_that_does_not_say_so_is_refused_by_the_name_of_its_values(kind: str, tmp_path: Path) -> None:
    said = refusal(quantised(kind, []), tmp_path)
    assert f"values: expected one of bfloat16, float16, float32, found {kind!r}" in said


def test_any_safetensors_reader_sees_whole_numbers_and_scales(tmp_path: Path) -> None:
    path = tmp_path / "whole.safetensors"
    path.write_bytes(quantised("int8", ["int8"]))
    with safe_open(path, "numpy") as file:
        values, scales = file.get_tensor("B.0.0.values"), file.get_tensor("B.0.0.scales")
    assert (values.dtype, scales.dtype) == (np.int8, np.float32)
    assert np.array_equal(values * scales[np.nonzero(WHOLE)[0]], (WHOLE * SCALES[:, None])[WHOLE != 0])
