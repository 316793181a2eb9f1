"""A safetensors reader sees the matrices by name, as far as that costs at most a percent."""

import json
import mmap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from sim_compress.artifact import encode, read
from sim_compress.certificate import certify
from sim_compress.model import Affine, ImplicitModel, Input, Lookup, Output, Sum, Term

from .crafting import encoded, header_of
from .models import column, feedforward_model, same, weights


def layer(rows: int, columns: int) -> ImplicitModel:
    """One output of sparse rows."""
    affine = Affine((rows,), (Term("u", (), weights(rows, columns, 0.5)),), column(rows))
    return ImplicitModel((Input("u", (columns,)),), (), (Output("y", affine),))


def keys_of(model: ImplicitModel) -> set[str]:
    return set(header_of(encoded(model))) - {"__metadata__"}


def test_a_small_model_shares_tensors() -> None:
    assert keys_of(layer(20, 50)) == {"metadata", "D.0.0", "bias"}


def test_a_larger_one_has_a_tensor_for_every_part() -> None:
    parts = {"D.0.0.values", "D.0.0.support", "D.0.0.exponents", "bias.0"}
    assert keys_of(layer(100, 150)) == parts | {"metadata"}


def test_a_large_one_has_its_metadata_in_the_header(tmp_path: Path) -> None:
    model = layer(200, 500)
    (tmp_path / "m.safetensors").write_bytes(encoded(model))
    with safe_open(tmp_path / "m.safetensors", "numpy") as file:
        metadata = json.loads(file.metadata()["sim_compress"])
        assert set(file.keys()) == {"D.0.0.values", "D.0.0.support", "D.0.0.exponents", "bias.0"}
        assert np.array_equal(file.get_tensor("bias.0"), column(200))
    assert metadata["outputs"][0]["terms"][0]["weight"]["shape"] == [200, 500]
    assert metadata["outputs"][0]["terms"][0]["source"] == "u"
    assert set(metadata) == {"version", "digest", "inputs", "blocks", "outputs", "certificate", "provenance"}


@pytest.mark.parametrize("size", [(20, 50), (100, 150), (200, 500)])
def test_every_layout_holds_the_same_model(size: tuple[int, int], tmp_path: Path) -> None:
    model = layer(*size)
    (tmp_path / "m.safetensors").write_bytes(encoded(model))
    assert same(read(tmp_path / "m.safetensors").model, model)


def test_numbers_can_be_read_in_place(tmp_path: Path) -> None:
    """Constants and biases through a map of the file, without a reader."""
    model = feedforward_model()
    (tmp_path / "m.safetensors").write_bytes(encoded(model))
    header = header_of(encoded(model))
    with open(tmp_path / "m.safetensors", "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(mapped[:8], "little")
        for name, wanted in (("C.5.0.maps.2.factor", np.full(5, 0.1)), ("bias", None)):
            begin, end = header[name]["data_offsets"]
            dtype = {"F32": "<f4", "F64": "<f8"}[header[name]["dtype"]]
            found = np.frombuffer(mapped, dtype, (end - begin) // np.dtype(dtype).itemsize, start + begin)
            assert found.flags.aligned
            assert wanted is None or np.array_equal(found, wanted)
            del found
        mapped.close()


def test_a_table_that_two_terms_look_up_in_is_one_tensor(tmp_path: Path) -> None:
    table = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    lookup = Term("ids", (Lookup(table), Sum((0,))))
    other = replace(lookup, maps=(Lookup(table.copy()), Sum((0,))))
    output = Output("y", Affine((4,), (lookup, lookup, other)))
    model = ImplicitModel((Input("ids", (3,), "int64"),), (), (output,))
    data = bytes(encode(model, certify(model), {}))
    assert {k for k in header_of(data) if "table" in k} == {"D.0.0.maps.0.table", "D.0.2.maps.0.table"}
    (tmp_path / "m.safetensors").write_bytes(data)
    found = read(tmp_path / "m.safetensors").model
    assert same(found, model)
    assert found.parameters == model.parameters == 2 * 200
