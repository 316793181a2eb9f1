"""Plain matrices hold what the artifact holds, for numpy, scipy and safetensors alone."""

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.artifact import csr_file, read, tied, unrolled, write, write_npz
from sim_compress.artifact.decoder import Artifact, decode
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import (
    Affine,
    ImplicitModel,
    Input,
    Lookup,
    Output,
    StateBlock,
    Term,
    matrices,
    unrolled_bytes,
)
from sim_compress.runtime import Session

from .crafting import encoded
from .models import column, embeddings, feedforward_model, gated_model, looped_model, weights

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "models/fashion_implicit.sim.safetensors"
MODELS = pytest.mark.parametrize(
    "model", [feedforward_model(), looped_model(), gated_model()], ids=["feedforward", "looped", "gated"]
)
ANY = 2**40


def artifact_of(model: ImplicitModel) -> Artifact:
    return decode(encoded(model))


def opened(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and tensors, as safetensors gives them."""
    with safe_open(path, "numpy") as file:
        tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        return json.loads(file.metadata()["sim_compress_csr"]), tensors


def matrix(tensors: dict[str, np.ndarray], name: str) -> sparse.csr_array:
    parts = (tensors[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    return sparse.csr_array(tuple(parts), shape=tuple(tensors[f"{name}.shape"]))


@MODELS
def test_tied_rows_are_those_of_the_model(model: ImplicitModel, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(csr_file(tied(artifact_of(model))))
    metadata, tensors = opened(tmp_path / "m.safetensors")
    assert metadata["form"] == "tied"
    letters = {True: "BD", False: "AC"}
    owners = [*metadata["blocks"], *metadata["outputs"]]
    for i, (entry, (name, affine)) in enumerate(zip(owners, model.affines(), strict=True)):
        assert entry["name"] == name
        for t, term in enumerate(affine.terms):
            if term.weight is not None:
                letter = letters[model.is_input(term.source)][i >= len(model.blocks)]
                found = matrix(tensors, f"{letter}.{i}.{t}")
                assert found.dtype == np.float32
                assert np.array_equal(found.toarray(), term.weight.toarray())
                assert entry["terms"][t]["weight"]["nonzeros"] == term.weight.nnz
        if affine.bias is not None:
            assert np.array_equal(tensors[f"bias.{i}"], affine.bias)


@MODELS
def test_unrolled_matrices_are_those_of_the_paper(model: ImplicitModel, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(csr_file(unrolled(artifact_of(model), ANY)))
    metadata, tensors = opened(tmp_path / "m.safetensors")
    for name, wanted in matrices(model)._asdict().items():
        assert np.array_equal(matrix(tensors, name).toarray(), wanted.toarray())
    for part in ("z", "x"):
        assert [place["name"] for place in metadata[part]] == [b.name for b in model.blocks]
    assert [z["stop"] - z["start"] for z in metadata["z"]] == [np.prod(b.affine.shape) for b in model.blocks]
    assert [x["stop"] - x["start"] for x in metadata["x"]] == [np.prod(b.shape) for b in model.blocks]
    assert metadata["u"][-1]["stop"] + 1 == tensors["B.shape"][1]
    assert metadata["y"][-1]["stop"] == tensors["C.shape"][0]
    assert [z["phi"]["name"] for z in metadata["z"]] == [b.phi.name for b in model.blocks]


def test_the_fixed_point_of_the_page_gives_the_artifacts_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/csr.md").read_text()
    (code,) = [part.split("```")[0] for part in page.split("```python\n")[1:]]
    imports = [line for line in code.splitlines() if line.startswith(("import", "from")) or not line]
    assert len(code.splitlines()) - len(imports) <= 10
    (tmp_path / "M.safetensors").write_bytes(csr_file(unrolled(read(SHIPPED), ANY)))
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    wanted = Session(read(SHIPPED).model)(names["images"].reshape(8, -1))
    np.testing.assert_allclose(names["Y"].T, wanted, atol=2e-3)
    assert np.array_equal(names["Y"].argmax(axis=0), np.asarray(wanted).argmax(axis=1))


@MODELS
def test_a_folder_of_npz_holds_the_same(model: ImplicitModel, tmp_path: Path) -> None:
    artifact = artifact_of(model)
    for form in (tied(artifact), unrolled(artifact, ANY)):
        folder = tmp_path / str(form.metadata["form"])
        size = write_npz(folder, form)
        assert size == sum(file.stat().st_size for file in folder.iterdir())
        for name, wanted in form.matrices.items():
            found = sparse.load_npz(folder / f"{name}.npz")
            assert np.array_equal(found.toarray(), wanted.toarray())
        if form.arrays:
            arrays = np.load(folder / "arrays.npz")
            assert set(arrays) == set(form.arrays)
            assert all(np.array_equal(arrays[name], values) for name, values in form.arrays.items())
        assert json.loads((folder / "model.json").read_text()) == json.loads(json.dumps(form.metadata))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    artifact = artifact_of(feedforward_model())
    assert csr_file(tied(artifact)) == csr_file(tied(artifact_of(feedforward_model())))
    for name in ("a", "b"):
        write_npz(tmp_path / name, tied(artifact))
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(InputError, match="is there already"):
        write_npz(tmp_path / "out", tied(artifact_of(looped_model())))
    assert os.listdir(tmp_path / "out") == ["mine"]


def test_a_folder_that_cannot_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sparse, "save_npz", full)
    with pytest.raises(InputError, match="No space left"):
        write_npz(tmp_path / "out", tied(artifact_of(looped_model())))
    assert os.listdir(tmp_path) == []


def test_plain_matrices_are_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(csr_file(tied(artifact_of(looped_model()))))
    with pytest.raises(ArtifactError, match="plain matrices that were exported from one: give the artifact"):
        read(tmp_path / "m.safetensors")


def test_unrolled_matrices_beyond_the_memory_are_refused_before_they_are_made() -> None:
    artifact = artifact_of(feedforward_model())
    needed = unrolled_bytes(artifact.model)
    assert unrolled(artifact, needed).matrices
    with pytest.raises(InputError, match=r"more than 0 MB: export the tied rows, .* or raise --memory"):
        unrolled(artifact, needed - 1)


@pytest.mark.parametrize("model", [feedforward_model(), read(SHIPPED).model], ids=["feedforward", "implicit"])
def test_what_unrolling_takes_is_known_before(model: ImplicitModel) -> None:
    tracemalloc.start()
    try:
        matrices(model)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < unrolled_bytes(model) < 3 * peak


def test_a_lookup_has_no_unrolled_matrices(tmp_path: Path) -> None:
    table = Lookup(np.ones((9, 4), np.float32))
    model = ImplicitModel(
        (Input("ids", (3,), "int64"),), (), (Output("y", Affine((3, 4), (Term("ids", (table,)),))),)
    )
    artifact = artifact_of(model)
    with pytest.raises(InputError, match="lookup"):
        unrolled(artifact, ANY)
    write(tmp_path / "m.safetensors", model, artifact.certificate, {})
    assert "table" in bytes(csr_file(tied(artifact))).decode("latin1")


def test_rows_that_are_shared_are_written_once_and_named(tmp_path: Path) -> None:
    W, b = weights(6, 6, 0.7), column(6)
    first, second = (Affine((6,), (Term(source, (), W),), b) for source in ("u", "h"))
    model = ImplicitModel(
        (Input("u", (6,)),), (StateBlock("h", first, Activation("tanh")),), (Output("y", second),)
    )
    (tmp_path / "m.safetensors").write_bytes(csr_file(tied(artifact_of(model))))
    metadata, tensors = opened(tmp_path / "m.safetensors")
    assert {name.rpartition(".")[0] for name in tensors if name.endswith(".data")} == {"B.0.0"}
    assert [name for name in tensors if name.startswith("bias")] == ["bias.0"]
    (output,) = metadata["outputs"]
    assert output["terms"][0]["weight"] == "B.0.0"
    assert output["bias"] == "bias.0"
    assert np.array_equal(matrix(tensors, "B.0.0").toarray(), W.toarray())


def test_a_table_that_is_rows_too_is_written_once_and_named(tmp_path: Path) -> None:
    model = embeddings()
    (tmp_path / "m.safetensors").write_bytes(csr_file(tied(artifact_of(model))))
    metadata, tensors = opened(tmp_path / "m.safetensors")
    name = "B.0.0.maps.0.table"
    assert {n.removesuffix(".data") for n in tensors if n.endswith(".data")} == {name}
    assert metadata["blocks"][0]["terms"][0]["maps"][0]["table"]["tensor"] == name
    assert metadata["outputs"][0]["terms"][0]["weight"] == name
    assert np.array_equal(matrix(tensors, name).toarray(), model.outputs[0].affine.weights[0].toarray())
