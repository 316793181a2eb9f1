"""Shapes that do not fit, or that claim more than the file holds, are refused before memory is taken."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

from sim_compress.artifact import read
from sim_compress.model import Affine, ImplicitModel, Input, Output, Term

from .breaking import Change, Rule, array, cases, field, refusal_after
from .crafting import Crafted, encoded, tensor
from .models import feedforward_model, looped_model, weights

# Reading holds the file, its tensors, the unpacked indices and the matrices at once; the parser has a floor.
MEMORY_PER_BYTE = 16
MEMORY_FLOOR = 2**20

# The product is 2**64 + 512, so that 64 bits hold the 512 that would fit.
WRAPPED = [1536, 121, 683, 2971, 48912491]
EMPTY_PATCHES = {"map": "patches", "kernel": [], "strides": [], "dilations": [], "before": [], "after": []}
EMPTY_POOL = {
    "name": "max_pool",
    "kernel": [],
    "strides": [],
    "dilations": [],
    "pads_begin": [],
    "pads_end": [],
}
SIZES: list[Rule] = [
    ("rank above 8", field("inputs.0.shape", [1] * 9), "at most 8 axes"),
    ("empty axis", field("inputs.0.shape", [3, 0, 8]), "a whole number in 1.."),
    ("negative axis", field("inputs.0.shape", [-3, 8, 8]), "inputs[0].shape[0]: expected a whole number"),
    (
        "boolean axis",
        field("inputs.0.shape", [True, 8, 8]),
        "expected a whole number in 1..2147483647, found True",
    ),
    ("fraction as axis", field("inputs.0.shape", [3.0, 8, 8]), "found 3.0"),
    ("huge shape", field("blocks.0.shape", [2**20, 2**20, 2**20]), "2147483647 elements in all"),
    ("huge axis", field("blocks.0.shape", [10**30, 1, 1]), "a whole number in 1.."),
    ("huge reshape", field("blocks.3.terms.0.maps.0.shape", WRAPPED), "cannot reshape (8, 8, 8)"),
    ("huge patches", field("blocks.0.terms.0.maps.0.before", [2**30, 2**30]), "elements in all"),
    ("huge pad", field("blocks.4.terms.0.maps.1.after", [2**30, 2**30]), "elements in all"),
    ("huge pooling", field("blocks.1.phi.pads_end", [2**30, 2**30]), "elements in all"),
    ("kernel too large", field("blocks.0.terms.0.maps.0.kernel", [30, 30]), "larger than the padded input"),
    (
        "patches of no axes",
        field(
            "blocks.0.terms.0.maps.0",
            EMPTY_PATCHES,
        ),
        "patches of no axes",
    ),
    (
        "pooling of no axes",
        field(
            "blocks.1.phi",
            EMPTY_POOL,
        ),
        "max_pool of rank [0]",
    ),
    ("pooling too large", field("blocks.1.phi.kernel", [30, 30]), "larger than the padded input"),
    ("zero stride", field("blocks.1.phi.strides", [0, 1]), "a whole number in 1.."),
    ("nine kernel axes", field("blocks.0.terms.0.maps.0.kernel", [1] * 9), "at most 8 numbers"),
    ("axes no permutation", field("outputs.0.terms.0.maps.0.axes", [0, 0]), "do not permute"),
    ("sum over no such axis", field("outputs.0.terms.0.maps.1.axes", [7]), "sum over axes"),
    ("slice outside", field("blocks.4.terms.0.maps.2.starts", [8, 1]), "leaves an axis"),
    ("slice step of 0", field("blocks.4.terms.0.maps.2.steps", [0, 1]), "leaves an axis"),
    ("constant does not fit", array("A.2.1.maps.0.factor", lambda v: v.reshape(1, 8, 1)), "broadcast"),
    (
        "terms do not fit",
        field("blocks.1.terms.0.source", "image"),
        "block 'pool': term from 'image' has shape",
    ),
    ("weight does not fit", field("blocks.0.terms.0.maps.0.strides", [2, 2]), "does not give"),
    ("matrix on a scalar", field("outputs.1.terms.0.maps", [{"map": "sum", "axes": [0]}]), "a scalar"),
]


@cases(SIZES)
def test_a_shape_that_does_not_fit_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, feedforward_model(), tmp_path)


def test_many_huge_blocks_are_refused(tmp_path: Path) -> None:
    def change(crafted: Crafted) -> None:
        blank = {"phi": {"name": "relu"}, "shape": [2**31 - 1], "terms": []}
        with_blocks(crafted, *(blank | {"name": f"huge{i}"} for i in range(5)))

    assert "elements a sample in all" in refusal_after(change, feedforward_model(), tmp_path)


def with_blocks(crafted: Crafted, *blocks: dict[str, Any]) -> None:
    """More blocks; outputs, whose numbers they take, give way to one without rows."""
    crafted.metadata["blocks"] += blocks
    crafted.metadata["outputs"] = [{"name": "y", "shape": [6], "terms": [{"source": "dense"}]}]
    for name in [n for n in crafted.tensors if n[0] in "CD" or n == "bias.7"]:
        del crafted.tensors[name]


def huge_block(source: str, size: int) -> dict[str, Any]:
    """A block whose chain passes an array of 2**27 elements."""
    chain = [
        {"map": "reshape", "shape": [size]},
        {"map": "pad", "before": [2**27], "after": [0]},
        {"map": "slice", "starts": [2**27], "counts": [size], "steps": [1]},
    ]
    terms = [{"source": source, "maps": chain}]
    return {"name": "huge", "phi": {"name": "relu"}, "shape": [size], "terms": terms}


def peak_memory(data: bytes, file: Path) -> int:
    """Most bytes allocated at a time while reading."""
    file.write_bytes(data)
    tracemalloc.start()
    try:
        read(file)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


CUT = [
    {"map": "slice", "starts": [0], "counts": [4], "steps": [1]},
    {"map": "reshape", "shape": [1, 4]},
]


def test_huge_claims_in_a_small_file_take_no_memory(tmp_path: Path) -> None:
    crafted = Crafted.of(feedforward_model())
    pool = {"name": "max_pool", "kernel": [2], "strides": [1], "dilations": [1], "pads_begin": [0]}
    wide = {"name": "wide", "phi": pool | {"pads_end": [2**27]}, "shape": [1, 4]}
    wide["terms"] = [{"source": "image", "maps": [{"map": "reshape", "shape": [192]}, *CUT]}]
    with_blocks(crafted, huge_block(source="conv", size=512), wide)
    crafted.metadata["certificate"]["order"] += [5, 6]
    data = crafted.bytes()
    assert peak_memory(data, tmp_path / "m.safetensors") < MEMORY_FLOOR + MEMORY_PER_BYTE * len(data)


def test_reading_a_large_file_takes_a_few_times_its_size(tmp_path: Path) -> None:
    affine = Affine((500,), (Term("u", (), weights(500, 4000, 0.1)),))
    data = encoded(ImplicitModel((Input("u", (4000,)),), (), (Output("y", affine),)))
    assert peak_memory(data, tmp_path / "m.safetensors") < MEMORY_FLOOR + MEMORY_PER_BYTE * len(data)


def test_a_norm_certificate_on_huge_arrays_is_refused(tmp_path: Path) -> None:
    def change(crafted: Crafted) -> None:
        crafted.metadata["blocks"].append(huge_block(source="first", size=12))
        crafted.tensors["scaling.2"] = tensor(np.ones(1))

    assert "elements to recompute the norm of A" in refusal_after(change, looped_model(), tmp_path)


def test_matrices_of_many_empty_rows_are_refused(tmp_path: Path) -> None:
    def change(crafted: Crafted) -> None:
        weight = {"shape": [2**21, 55], "nonzeros": 0, "rice": 0}
        empty = {"shape": [2**21], "terms": [{"source": "extra", "weight": weight}]}
        crafted.metadata["outputs"].append(empty | {"name": "empty"})

    assert "rows of matrices in all, found more" in refusal_after(change, feedforward_model(), tmp_path)
