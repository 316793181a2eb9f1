"""read(write(m)) = m, with the same bytes for the same model."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from scipy import sparse

from sim_compress.activations import KINDS
from sim_compress.artifact import encode, read, write
from sim_compress.artifact.chains import DECODERS
from sim_compress.certificate import Certificate, certify
from sim_compress.errors import CertificateError, InputError
from sim_compress.model import (
    MAPS,
    Affine,
    ImplicitModel,
    Input,
    Offset,
    Output,
    Reshape,
    Scale,
    StateBlock,
    Term,
    matrices,
)
from tests.activations.examples import EXAMPLES

from .crafting import PROVENANCE, encoded
from .models import feedforward_model, looped_model, same

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("model", [feedforward_model(), looped_model()], ids=["acyclic", "loop"])
def test_a_model_comes_back_as_it_was(model: ImplicitModel, tmp_path: Path) -> None:
    certificate = certify(model)
    size = write(tmp_path / "m.safetensors", model, certificate, PROVENANCE)
    found = read(tmp_path / "m.safetensors")
    assert same(found.model, model)
    assert same(found.certificate, certificate)
    assert found.provenance == PROVENANCE
    assert found.size == size == (tmp_path / "m.safetensors").stat().st_size
    with safe_open(tmp_path / "m.safetensors", "numpy") as file:
        assert found.digest == json.loads(file.metadata()["sim_compress"])["digest"]


def test_the_unrolled_matrices_come_back(tmp_path: Path) -> None:
    model = feedforward_model()
    write(tmp_path / "m.safetensors", model, certify(model), {})
    for found, wanted in zip(matrices(read(tmp_path / "m.safetensors").model), matrices(model), strict=True):
        assert np.array_equal(found.toarray(), wanted.toarray())


def test_an_artifact_written_again_has_the_same_bytes(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    (tmp_path / "m.safetensors").write_bytes(data)
    found = read(tmp_path / "m.safetensors")
    assert encode(found.model, found.certificate, found.provenance) == data


def test_a_scaling_that_varies_comes_back_to_the_bit(tmp_path: Path) -> None:
    model = looped_model()
    rows = np.linspace(1, 1.3, 4)[:, None] * np.ones((4, 3))
    both = {"first": rows, "second": rows + np.arange(3) / 30}
    certificate = Certificate("norm", 0.99, scaling=both)
    write(tmp_path / "m.safetensors", model, certificate, {})
    assert same(read(tmp_path / "m.safetensors").certificate, certificate)
    with safe_open(tmp_path / "m.safetensors", "numpy") as file:
        assert file.get_tensor("scaling.0").shape == (4, 1)
        assert file.get_tensor("scaling.1").shape == (4, 3)


@pytest.mark.parametrize(
    "values", [np.array(0.1), np.array(np.float32(0.1)), np.full(2, 1 / 3), np.float64(2.5)]
)
def test_constants_keep_every_bit(values: np.ndarray, tmp_path: Path) -> None:
    chain = (Scale(values), Offset(values))
    model = ImplicitModel((Input("u", (2,)),), (), (Output("y", Affine((2,), (Term("u", chain),))),))
    write(tmp_path / "m.safetensors", model, certify(model), {})
    scale, offset = read(tmp_path / "m.safetensors").model.outputs[0].affine.terms[0].maps
    assert isinstance(scale, Scale)
    assert isinstance(offset, Offset)
    assert np.array_equal(scale.factor, values)
    assert np.array_equal(offset.offset, values)


def test_the_bytes_are_the_same_in_every_process() -> None:
    script = (
        "import hashlib; from tests.artifact.crafting import encoded;"
        "from tests.artifact.models import feedforward_model, looped_model;"
        "print(hashlib.sha256(encoded(feedforward_model()) + encoded(looped_model())).hexdigest())"
    )
    wanted = hashlib.sha256(encoded(feedforward_model()) + encoded(looped_model())).hexdigest()
    for seed in ("0", "1", "2", "random"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == wanted


def test_the_import_loads_no_frontend_and_no_solver() -> None:
    script = (
        "import sys, sim_compress.artifact;"
        "print(sorted({'onnx', 'onnxruntime', 'torch', 'cvxpy', 'rich', 'numba'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_map_and_phi_has_a_place_in_the_format() -> None:
    names = {f for kind in MAPS.values() for f in kind.__dataclass_fields__}
    names |= {attribute for kind in KINDS.values() for attribute in kind.attributes}
    assert names <= set(DECODERS)


def test_a_certificate_that_does_not_hold_is_not_written() -> None:
    with pytest.raises(CertificateError, match="reads"):
        encode(
            feedforward_model(),
            Certificate("acyclic", 0.0, ("pool", "conv", "grouped", "dense", "tokens")),
            {},
        )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "provenance.a: .*finite"),
        (np.float32(1), "provenance.a: .*finite number"),
        ({1: 2}, "provenance.a: .*text as keys"),
        ([[b"x"]], r"provenance.a\[0\]\[0\]"),
    ],
)
def test_provenance_that_is_not_json_is_refused(value: object, message: str) -> None:
    model = looped_model()
    with pytest.raises(InputError, match=message):
        encode(model, certify(model), {"a": value})  # pyright: ignore[reportArgumentType]


def test_provenance_that_contains_itself_is_refused() -> None:
    model, endless = looped_model(), {}
    endless["a"] = endless
    with pytest.raises(InputError, match="levels of nesting"):
        encode(model, certify(model), endless)


def test_certificates_with_more_than_their_kind_are_refused() -> None:
    model, ones = looped_model(), np.ones((4, 3))
    with pytest.raises(InputError, match="without an order"):
        encode(model, Certificate("norm", 0.99, ("first",), {"first": ones, "second": ones}), {})
    straight = ImplicitModel(model.inputs, (), ())
    with pytest.raises(InputError, match="bound 0"):
        encode(straight, Certificate("acyclic", 0.5), {})


def test_a_bound_that_is_not_a_number_is_refused() -> None:
    model, ones = looped_model(), np.ones((4, 3))
    with pytest.raises(CertificateError, match="bound of nan"):
        encode(model, Certificate("norm", float("nan"), scaling={"first": ones, "second": ones}), {})


def test_a_map_with_fractions_is_refused() -> None:
    affine = Affine((2,), (Term("u", (Reshape((2.0,)),)),))  # pyright: ignore[reportArgumentType]
    model = ImplicitModel((Input("u", (2,)),), (), (Output("y", affine),))
    with pytest.raises(InputError, match="'y': expected whole numbers"):
        encode(model, certify(model), {})


def test_a_float64_bias_is_refused() -> None:
    affine = Affine((2,), (Term("u"),), np.zeros(2))  # pyright: ignore[reportArgumentType]
    model = ImplicitModel((Input("u", (2,)),), (), (Output("y", affine),))
    with pytest.raises(InputError, match="'y': expected a float32 bias"):
        encode(model, certify(model), {})


def test_a_refused_matrix_names_its_block() -> None:
    affine = Affine((2,), (Term("u", (), sparse.csr_array(np.eye(2))),))
    model = ImplicitModel((Input("u", (2,)),), (), (Output("y", affine),))
    with pytest.raises(InputError, match="'y': expected float32 weights"):
        encode(model, certify(model), {})


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_phi_comes_back_with_its_attributes(name: str, tmp_path: Path) -> None:
    phi, shape = EXAMPLES[name]
    block = StateBlock("block", Affine(shape, (Term("u"),)), phi)
    output = Output("y", Affine(block.shape, (Term("block"),)))
    model = ImplicitModel((Input("u", shape),), (block,), (output,))
    data = encode(model, certify(model), {})
    (tmp_path / "m.safetensors").write_bytes(data)
    found = read(tmp_path / "m.safetensors")
    assert same(found.model, model)
    assert encode(found.model, found.certificate, {}) == data
