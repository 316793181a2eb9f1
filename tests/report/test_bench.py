"""Speed figures: what is measured, and what is refused."""

import numpy as np
import onnx
import pytest
from onnx import helper

from sim_compress.errors import DataError, ModelFileError
from sim_compress.frontend import load_teacher
from sim_compress.report.bench import DenseRuntime, made_up_inputs, measure_speed
from sim_compress.runtime import Session
from tests.cli.networks import classifier


@pytest.fixture
def network(tmp_path):
    onnx.save(classifier(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_both_runtimes_are_timed_on_the_same_inputs(network):
    model = load_teacher(network).model
    speed = measure_speed(Session(model, threads=1), DenseRuntime(network, 1), made_up_inputs(model, 2), 3)
    assert (speed.batch, speed.threads) == (2, 1)
    assert 0 < speed.low <= speed.ratio <= speed.high
    assert speed.slower == (speed.ratio < 1)
    assert speed.throughput == (2 / speed.ours, 2 / speed.theirs)


def test_made_up_inputs_have_the_types_of_the_model(network):
    model = load_teacher(network).model
    (i,) = model.inputs
    u = made_up_inputs(model, 3)[i.name]
    assert u.shape == (3, *i.shape)
    assert u.dtype == np.dtype(i.dtype)


def test_inputs_that_the_network_does_not_take_are_refused(network):
    with pytest.raises(DataError, match=r"net\.onnx: onnxruntime refuses inputs"):
        DenseRuntime(network, 1)({"images": np.zeros((1, 2, 3, 3), np.float32)})


def test_a_file_is_given_the_samples_on_the_axis_that_it_has_them_on(tmp_path):
    steps_first = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [5, "N", 3])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [5, "N", 3])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "steps", [steps_first], [result])
    opset = helper.make_opsetid("", 17)
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[opset]), path)
    dense = DenseRuntime(path, 1)
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    found = dense({"x": x})
    assert isinstance(found, list)
    (y,) = found
    np.testing.assert_array_equal(y, np.maximum(x, 0).transpose(1, 0, 2))
    assert dense.fixed_batch(load_teacher(path).model) is None


def test_a_file_that_is_no_network_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="refuses the network"):
        DenseRuntime(path, 1)
