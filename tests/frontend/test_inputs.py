"""Inputs of every kind of number, ids that a learned table is read at, sizes that the file leaves open."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from sim_compress import Settings, compress, load, open_teacher
from sim_compress.errors import DataError, InputError, UnsupportedError
from sim_compress.frontend import Teacher, load_teacher
from sim_compress.model import matrices
from sim_compress.runtime import Session
from tests.frontend.graphs import assert_close, graph_of, node, random, run, saved, typed

WORDS, WIDTH, LENGTH = 11, 4, 5
# One rounding of a half precision number.
HALF_ROUNDING = 2**-10


def text_network() -> onnx.ModelProto:
    """Ids and a mask of whole numbers: embedding, positions, masked mean, two layers."""
    nodes = [
        node("Gather", ["table", "ids"], ["words"], "words"),
        node("Add", ["words", "positions"], ["placed"], "placed"),
        node("Cast", ["mask"], ["weights"], "cast", to=onnx.TensorProto.FLOAT),
        node("Unsqueeze", ["weights", "last"], ["column"], "column"),
        node("Mul", ["placed", "column"], ["masked"], "masked"),
        node("ReduceMean", ["masked"], ["mean"], "mean", axes=[1], keepdims=0),
        node("Gemm", ["mean", "first"], ["hidden"], "hidden", transB=1),
        node("Relu", ["hidden"], ["active"], "active"),
        node("Gemm", ["active", "second"], ["scores"], "scores", transB=1),
    ]
    constants = {
        "table": random(WORDS, WIDTH),
        "positions": random(LENGTH, WIDTH, seed=1),
        "last": np.array([2]),
        "first": random(16, WIDTH, seed=2),
        "second": random(3, 16, seed=3),
    }
    model = graph_of(nodes, {"ids": (LENGTH,), "mask": (LENGTH,)}, constants)
    return typed(model, {"ids": onnx.TensorProto.INT64, "mask": onnx.TensorProto.INT32})


def texts(samples: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    ids = rng.integers(-WORDS, WORDS, (samples, LENGTH))
    return {"ids": ids, "mask": rng.integers(0, 2, (samples, LENGTH)).astype(np.int32)}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return saved(tmp_path, text_network())


def test_ids_look_rows_of_a_table_up_and_masks_are_numbers(text):
    teacher = load_teacher(text)
    feed = texts(6)
    assert_close(Session(teacher.model).predict(feed)["scores"], run(text, feed)["scores"])
    assert [(i.name, i.dtype) for i in teacher.model.inputs] == [("ids", "int64"), ("mask", "int32")]
    assert teacher.model.parameters == teacher.model.nnz + WORDS * WIDTH


def test_the_table_stays_dense_and_counts_as_parameters(text, tmp_path):
    result = compress(text, texts(64), Settings(0.5))
    rows = 16 * WIDTH + 3 * 16
    assert result.sparsity == pytest.approx(0.5, abs=0.5 / rows)
    assert result.total_sparsity == pytest.approx(0.5 * rows / (rows + WORDS * WIDTH), abs=0.01)
    path = tmp_path / "text.sim.safetensors"
    result.save(path)
    feed = texts(6, seed=1)
    np.testing.assert_array_equal(
        load(path, kernel="scipy").predict(feed)["scores"],
        Session(result.model, kernel="scipy").predict(feed)["scores"],
    )
    again = compress(path, texts(64), Settings(0.1))
    assert again.model.parameters < result.model.parameters


def test_an_id_without_a_row_is_named_wherever_it_comes_in(text):
    feed = texts(300)
    feed["ids"][270, 2] = WORDS
    message = r"input 'ids': sample 270 holds the id 11, expected 0\.\.10"
    with pytest.raises(DataError, match=message):
        compress(text, feed, Settings(0.5))
    with pytest.raises(DataError, match=message):
        Session(open_teacher(text).model).predict(feed)


def test_a_model_with_a_table_says_that_it_has_no_unrolled_matrices(text):
    with pytest.raises(InputError, match="linear in the one-hot code of its ids"):
        matrices(load_teacher(text).model)


def test_ids_that_the_network_computes_are_looked_up_too(tmp_path):
    nodes = [
        node("Cast", ["x"], ["whole"], "whole", to=onnx.TensorProto.INT64),
        node("Add", ["whole", "three"], ["ids"], "ids"),
        node("Gather", ["table", "ids"], ["rows"], "rows"),
        node("MatMul", ["rows", "w"], ["y"], "y"),
    ]
    constants = {"three": np.array(3), "table": random(WORDS, 2, 3), "w": random(3, 2, seed=1)}
    path = saved(tmp_path, graph_of(nodes, {"x": (LENGTH,)}, constants))
    feed = {"x": np.random.default_rng(0).uniform(-3, 7, (4, LENGTH)).astype(np.float32)}
    assert_close(Session(load_teacher(path).model).predict(feed)["y"], run(path, feed)["y"])


def test_a_truth_value_chooses(tmp_path):
    nodes = [
        node("Where", ["keep", "x", "none"], ["chosen"], "chosen"),
        node("Gemm", ["chosen", "w"], ["y"], "y", transB=1),
    ]
    constants = {"none": np.float32(-2), "w": random(3, 4)}
    model = typed(graph_of(nodes, {"x": (4,), "keep": (4,)}, constants), {"keep": onnx.TensorProto.BOOL})
    path = saved(tmp_path, model)
    feed = {"x": random(6, 4), "keep": random(6, 4, seed=1) > 0}
    assert_close(Session(load_teacher(path).model).predict(feed)["y"], run(path, feed)["y"])


def in_precision(kind: int) -> onnx.ModelProto:
    """A network whose weights, states and inputs are of another floating type."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [
        node("MatMul", ["x", "w"], ["c"], "c"),
        node("Relu", ["c"], ["r"], "r"),
        node("ReduceMean", ["r"], ["m"], "m", axes=[1], keepdims=0),
        node("Gemm", ["m", "v", "b"], ["y"], "y", transB=1),
    ]
    constants = {"w": random(2, 4), "v": random(3, 4, seed=1), "b": random(3, seed=2)}
    model = typed(graph_of(nodes, {"x": (6, 2)}, constants), {"x": kind})
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name))
    for output in model.graph.output:
        output.type.tensor_type.elem_type = kind
    return model


@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE])
def test_a_network_in_another_precision_is_computed_in_float32(tmp_path, kind):
    path = saved(tmp_path, in_precision(kind))
    teacher = load_teacher(path)
    x = random(5, 6, 2).astype(teacher.model.inputs[0].dtype)
    expected = run(path, {"x": x})["y"]
    found = Session(teacher.model)(x)
    assert x.dtype == expected.dtype != np.float32
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=4 * HALF_ROUNDING, atol=4 * HALF_ROUNDING)
    compress(path, random(64, 6, 2), Settings(0.3))


def open_sizes() -> onnx.ModelProto:
    """A convolutional network of images of any size."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], "c"),
        node("Relu", ["c"], ["r"], "r"),
        node("GlobalAveragePool", ["r"], ["y"], "y"),
    ]
    model = graph_of(nodes, {"x": (2, "h", "w")}, {"w": random(4, 2, 3, 3)})
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


@pytest.mark.parametrize("name", ["x", ""])
def test_open_sizes_are_fixed_and_the_batch_stays_free(tmp_path, name):
    path = saved(tmp_path, open_sizes())
    teacher: Teacher = load_teacher(path, {name: (1, 2, 7, 5)})
    feed = {"x": random(3, 2, 7, 5)}
    assert_close(Session(teacher.model).predict(feed)["y"], run(path, feed)["y"])


def test_an_open_size_is_refused_with_the_option_that_fixes_it(tmp_path):
    with pytest.raises(
        UnsupportedError, match=r"axis 2 has no fixed size; fix it with --input-shape x=1x2x\?x\?"
    ):
        load_teacher(saved(tmp_path, open_sizes()))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"u": (1, 2, 7, 5)}, "input shape for 'u': the network has the inputs x"),
        ({"x": (1, 3, 7, 5)}, r"the file has the axes 1x2x\?x\?, 1x3x7x5 does not fit"),
        ({"x": (2, 7, 5)}, "2x7x5 does not fit"),
    ],
)
def test_a_shape_that_does_not_fit_the_file_is_refused(tmp_path, shapes, message):
    with pytest.raises(InputError, match=message):
        load_teacher(saved(tmp_path, open_sizes()), shapes)
