"""Large weights are held once: graphs have stubs for them; sessions, rows and parts share their arrays."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from sim_compress import Session, Settings, compress
from sim_compress.artifact import container, read, replace_files
from sim_compress.errors import ArtifactError, ModelFileError
from sim_compress.export import exported, files_of
from sim_compress.export import graph as export_graph
from sim_compress.frontend import Teacher, load_teacher
from sim_compress.frontend.read import network_file
from sim_compress.frontend.read.network_file import read_network
from sim_compress.frontend.weights import is_stub, whole
from sim_compress.states import open_teacher
from sim_compress.storage import is_mapped
from tests.frontend.graphs import (
    assert_close,
    assert_exact,
    graph_of,
    node,
    random,
    random_inputs,
    run,
    saved,
)

WIDTH = 80


def wide() -> onnx.ModelProto:
    """Two products of one shape with large weights, and a Gemm whose weight is transposed."""
    nodes = [
        node("MatMul", ["x", "v"], ["a"], "first"),
        node("Relu", ["a"], ["r"], "relu"),
        node("MatMul", ["r", "w"], ["b"], "second"),
        node("Relu", ["b"], ["s"], "relu2"),
        node("Gemm", ["s", "u", "c"], ["y"], "head", transB=1),
    ]
    constants = {
        "v": random(WIDTH, WIDTH, seed=1),
        "w": random(WIDTH, WIDTH, seed=2),
        "u": random(WIDTH, WIDTH, seed=3),
        "c": random(WIDTH, seed=4),
    }
    return graph_of(nodes, {"x": (WIDTH,)}, constants)


def beside(folder: Path, model: onnx.ModelProto) -> Path:
    """The same network with its weights in a file of their own."""
    onnx.save(model, folder / "outside.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return folder / "outside.onnx"


@pytest.fixture(params=["inside", "outside"])
def teacher(request: pytest.FixtureRequest, tmp_path: Path) -> Teacher:
    path = saved(tmp_path, wide()) if request.param == "inside" else beside(tmp_path, wide())
    return load_teacher(path)


def test_large_weights_are_stubs_in_the_graph_and_in_its_parts(teacher: Teacher) -> None:
    assert_exact(teacher)
    part = teacher.submodel(["r"], ["b"])
    for graph in (teacher.graph.graph, part.graph):
        large = [i for i in graph.initializer if np.prod(i.dims) > WIDTH]
        assert large
        assert all(is_stub(i) for i in large)
        assert graph.ByteSize() < WIDTH * WIDTH
    assert len(teacher.weights) == 3


def test_weights_of_the_teacher_are_those_that_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = read_network(beside(tmp_path, wide()))
    monkeypatch.setattr("sim_compress.frontend.teacher.read_network", lambda _: file)
    held = load_teacher(tmp_path).weights
    assert all(any(values is given for values in held.values()) for given in file.weights.values())
    assert file.weights.keys() == set("uvw")


def test_rows_that_stand_in_order_are_not_copied_and_matrices_of_a_shape_share_their_columns(
    teacher: Teacher,
) -> None:
    rows = [t.weight for _, affine in teacher.model.affines() for t in affine.terms if t.weight is not None]
    assert len(rows) == 3
    assert all(np.shares_memory(rows[0].indices, other.indices) for other in rows)
    head = dict(teacher.model.affines())["y"].terms[0].weight
    assert head is not None
    assert any(np.shares_memory(head.data, values) for values in teacher.weights.values())


def test_a_zero_among_the_weights_leaves_those_of_the_others_as_they_are(tmp_path: Path) -> None:
    model = wide()
    weight = random(WIDTH, WIDTH, seed=2)
    weight[3, 5] = 0
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(weight, "w"))
    teacher = load_teacher(saved(tmp_path, model))
    counts = [t.weight.nnz for _, a in teacher.model.affines() for t in a.terms if t.weight is not None]
    assert sorted(counts) == [WIDTH * WIDTH - 1, WIDTH * WIDTH, WIDTH * WIDTH]
    assert_exact(teacher)


def test_a_whole_network_holds_its_weights_and_is_saved_as_any_other(
    teacher: Teacher, tmp_path: Path
) -> None:
    model = whole(teacher.graph, teacher.weights)
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "saved.onnx")
    inputs = random_inputs(teacher, 3)
    assert_close(run(tmp_path / "saved.onnx", inputs)["y"], run(teacher.path, inputs)["y"])


def test_weights_that_clean_up_changes_are_the_changed_ones(tmp_path: Path) -> None:
    channels = 24
    nodes = [
        node("Conv", ["x", "w"], ["a"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"], "norm"),
        node("Relu", ["b"], ["y"], "relu"),
    ]
    constants = {
        "w": random(channels, channels, 3, 3),
        "scale": random(channels, seed=1),
        "shift": random(channels, seed=2),
        "mean": random(channels, seed=3),
        "var": np.abs(random(channels, seed=4)) + 0.5,
    }
    teacher = load_teacher(beside(tmp_path, graph_of(nodes, {"x": (channels, 5, 5)}, constants)))
    (values,) = teacher.weights.values()
    scale = constants["scale"] / np.sqrt(constants["var"] + 1e-5)
    np.testing.assert_allclose(values, constants["w"] * scale[:, None, None, None], rtol=1e-5)
    assert_exact(teacher)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16])
@pytest.mark.parametrize("outside", [False, True])
def test_large_weights_in_another_precision_are_float32(tmp_path: Path, kind: int, outside: bool) -> None:
    weight = random(WIDTH, WIDTH)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    stored = weight.astype(dtype)
    graph = helper.make_graph(
        [node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", kind, ["N", WIDTH])],
        [helper.make_tensor_value_info("y", kind, ["N", WIDTH])],
        [onnx.numpy_helper.from_array(stored, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    teacher = load_teacher(beside(tmp_path, model) if outside else saved(tmp_path, model))
    (values,) = teacher.weights.values()
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, stored.astype(np.float32))


def test_a_file_with_weights_beside_it_is_hashed_with_them(tmp_path: Path) -> None:
    path = beside(tmp_path, wide())
    expected = hashlib.sha256(path.read_bytes() + (tmp_path / "w.bin").read_bytes()).hexdigest()
    file = read_network(path)
    assert file.sha256 == expected
    assert file.size == path.stat().st_size + (tmp_path / "w.bin").stat().st_size


@pytest.mark.parametrize("change", ["cut", "length", "offset"])
def test_large_weights_that_are_not_as_long_as_they_say_are_refused(tmp_path: Path, change: str) -> None:
    path = beside(tmp_path, wide())
    if change == "cut":
        (tmp_path / "w.bin").write_bytes((tmp_path / "w.bin").read_bytes()[:-100])
    else:
        model = onnx.load(path, load_external_data=False)
        for entry in model.graph.initializer[0].external_data:
            if entry.key == change:
                entry.value = str(4 * WIDTH if change == "length" else 10**9)
        onnx.save(model, path)
    with pytest.raises(ModelFileError, match=r"holds|cannot be loaded"):
        load_teacher(path)


def test_a_teacher_is_sent_to_another_process_with_its_weights(teacher: Teacher) -> None:
    graph, weights = pickle.loads(pickle.dumps((teacher.graph, teacher.weights)))
    inputs = random_inputs(teacher, 3)
    assert_close(run(whole(graph, weights), inputs)["y"], run(teacher.path, inputs)["y"])


def test_states_are_read_from_weights_that_are_shared(teacher: Teacher) -> None:
    opened = open_teacher(teacher.path)
    inputs = random_inputs(teacher, 3)
    batch = {n: np.moveaxis(u, 0, -1) for n, u in inputs.items()}
    found = opened.outputs(batch)["y"]
    assert_close(np.moveaxis(found, -1, 0), run(teacher.path, inputs)["y"])


def with_table() -> onnx.ModelProto:
    """Ids that are looked up in a table, behind them a product whose weight is used transposed."""
    nodes = [
        node("Gather", ["table", "ids"], ["rows"], "lookup"),
        node("MatMul", ["rows", "v"], ["a"], "first"),
        node("Relu", ["a"], ["r"], "relu"),
        node("MatMul", ["r", "w"], ["y"], "second"),
    ]
    constants = {
        "table": random(200, WIDTH, seed=1),
        "v": random(WIDTH, WIDTH, seed=2),
        "w": random(WIDTH, WIDTH, seed=3),
    }
    model = graph_of(nodes, {"ids": (5,)}, constants)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


def weights_of(teacher: Teacher) -> list[Any]:
    affines = [a for _, a in teacher.model.affines()]
    tables = [m.table for a in affines for m in a.lookups if isinstance(m.table, np.ndarray)]
    return [*(w.data for a in affines for w in a.weights), *tables, *teacher.weights.values()]


@pytest.mark.parametrize("offset", [0, 4, 4096])
@pytest.mark.parametrize("half", [False, True])
def test_weights_of_large_files_stay_in_files(tmp_path, monkeypatch, offset, half):
    """Wherever they begin in them, and in whatever precision and order of axes they are used."""
    model = with_table()
    if half:
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    path, place = tmp_path / "outside.onnx", offset
    outside = onnx.ModelProto()
    outside.CopyFrom(model)
    with (tmp_path / "w.bin").open("wb") as file:
        for tensor in outside.graph.initializer:
            file.seek(place)
            values = numpy_helper.to_array(tensor)
            file.write(values.tobytes())
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in {"location": "w.bin", "offset": place, "length": values.nbytes}.items():
                tensor.external_data.add(key=key, value=str(value))
            place = -(-(place + values.nbytes) // 4096) * 4096 + offset % 4096
    path.write_bytes(outside.SerializeToString())
    small = load_teacher(path)
    monkeypatch.setattr(network_file, "MAPPED", 0)
    mapped = load_teacher(path)
    assert not any(map(is_mapped, weights_of(small)))
    assert all(map(is_mapped, weights_of(mapped)))
    for one, other in zip(weights_of(small), weights_of(mapped), strict=True):
        np.testing.assert_array_equal(one, other)
    if not half:
        assert_exact(mapped, {"ids": np.random.default_rng(0).integers(0, 200, (4, 5))})


def test_a_mapped_table_passes_into_the_artifact_and_back_to_a_graph(tmp_path, monkeypatch):
    """The same bytes as from memory; nothing of its size is made on the way."""
    path = tmp_path / "outside.onnx"
    onnx.save(with_table(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    ids = np.random.default_rng(0).integers(0, 200, (40, 5))
    settings = Settings(0.5, tune=0)
    compress(path, ids, settings).save(tmp_path / "small.safetensors")
    for part, name in ((network_file, "MAPPED"), (container, "MAPPED"), (export_graph, "LARGE")):
        monkeypatch.setattr(part, name, 2000 if name == "LARGE" else 0)
    compress(path, ids, settings).save(tmp_path / "mapped.safetensors")
    assert (tmp_path / "mapped.safetensors").read_bytes() == (tmp_path / "small.safetensors").read_bytes()
    found = read(tmp_path / "mapped.safetensors").model
    tables = [m.table for _, a in found.affines() for m in a.lookups if isinstance(m.table, np.ndarray)]
    assert tables
    assert all(isinstance(t, np.ndarray) and is_mapped(t) for t in tables)
    graph = exported(found)
    assert any(np.shares_memory(values, tables[0]) for values in graph.values.values())
    replace_files({tmp_path / n: data for n, data in files_of(graph, "net.onnx", most=1000).items()})
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"ids": ids})
    assert_close(np.asarray(y), np.asarray(Session(found)(ids)))


def test_a_mapped_artifact_that_is_damaged_is_refused_as_any_other(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    onnx.save(with_table(), path)
    ids = np.random.default_rng(0).integers(0, 200, (40, 5))
    compress(path, ids, Settings(0.5, tune=0)).save(tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    monkeypatch.setattr(container, "MAPPED", 1)
    for data in (whole[:-1], whole + b"x", whole[:100], whole[:-1] + bytes([whole[-1] ^ 1])):
        (tmp_path / "b.safetensors").write_bytes(data)
        with pytest.raises(ArtifactError) as mapped:
            read(tmp_path / "b.safetensors")
        with pytest.raises(ArtifactError) as in_memory:
            read(data)
        # safetensors words its errors in two ways.
        one, other = (str(e.value).split(": ", 1)[1].split("found: ")[0] for e in (mapped, in_memory))
        assert one == other
