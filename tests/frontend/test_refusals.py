"""Every unsupported node is named, all in one error."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from sim_compress.errors import InputError, ModelFileError, UnsupportedError
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import graph_of, node, random, refused, saved


def test_all_refused_nodes_are_listed_with_operator_name_and_reason(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "product"),
        node("LpPool", ["h"], ["s"], "pooled", kernel_shape=[1, 1]),
        node("Softmax", ["h"], ["t"], "over samples", axis=0),
        node("Mul", ["h", "v"], ["m"], "gate"),
        node("PRelu", ["h", "h"], ["p"], "bent"),
        node("LpPool", ["m"], ["q"], kernel_shape=[1, 1]),
        node("MatMul", ["s", "w"], ["y"], "behind"),
    ]
    inputs = {"x": (2, 4, 4), "v": (4, 4)}
    message = refused(tmp_path, nodes, inputs, {"w": random(4, 4)}, outputs=["y", "t", "p", "q"])
    assert "5 of 7 nodes" in message
    assert "LpPool 'pooled': this operator is not supported" in message
    assert "Softmax 'over samples': acts along axis 0 of [N, 2, 4, 4], the batch axis" in message
    assert (
        "Mul 'gate': its inputs have the batch axis in two places, [1, N, 4, 4] and [N, 2, 4, 4]" in message
    )
    assert "PRelu 'bent': its input 1 is computed by the network" in message
    assert "LpPool '-> q'" in message
    assert "docs/operators.md" in message
    assert str(tmp_path) in message


def test_an_unknown_domain_is_refused_together_with_every_other_unsupported_node(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nodes = [
        node("LpPool", ["x"], ["s"], "pooled", kernel_shape=[1]),
        node("Shape", ["x"], ["n"], "arithmetic"),
        node("Reshape", ["s", "n"], ["r"], "supported"),
        node("Fused", ["r"], ["y"], "special", domain="my.company"),
    ]
    model = graph_of(nodes[:-1], {"x": (2, 3)})
    model.graph.node.append(nodes[-1])
    model.graph.output[0].name = "y"
    with pytest.raises(UnsupportedError) as caught:
        load_teacher(saved(tmp_path, model))
    message = str(caught.value)
    assert "my.company.Fused 'special': this operator is in no standard operator set" in message
    assert "LpPool 'pooled'" in message
    assert "2 of 4 nodes" in message
    assert capfd.readouterr() == ("", "")


def test_an_operator_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    model = graph_of([node("Relu", ["x"], ["y"], "invented")], {"x": (3,)})
    model.graph.node[0].op_type = "Relux"
    with pytest.raises(UnsupportedError, match="Relux 'invented'"):
        load_teacher(saved(tmp_path, model))


def test_a_network_of_one_other_domain_alone_is_refused(tmp_path: Path) -> None:
    model = graph_of([node("Relu", ["x"], ["y"], "special")], {"x": (3,)})
    model.graph.node[0].op_type, model.graph.node[0].domain = "Special", "my.company"
    model.opset_import[0].domain, model.opset_import[0].version = "my.company", 1
    with pytest.raises(UnsupportedError, match=r"my\.company\.Special 'special'"):
        load_teacher(saved(tmp_path, model))


def test_an_operator_newer_than_the_file_says_is_refused(tmp_path: Path) -> None:
    model = graph_of([node("Gelu", ["x"], ["y"], "early")], {"x": (3,)}, opset=20)
    model.opset_import[0].version = 17
    message = "Gelu 'early': this operator is in no standard operator set up to 17, the file's"
    with pytest.raises(UnsupportedError, match=message):
        load_teacher(saved(tmp_path, model))


def test_subgraphs_are_refused(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [node("Identity", ["x"], ["b"])],
        "branch",
        [],
        [helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, ["N", 3])],
    )
    nodes = [
        node("ReduceSum", ["x"], ["s"], "total", keepdims=0),
        node("Cast", ["s"], ["c"], "cast", to=onnx.TensorProto.BOOL),
        node("If", ["c"], ["y"], "branches", then_branch=branch, else_branch=branch),
    ]
    message = refused(tmp_path, nodes, {"x": (3,)})
    assert "If 'branches': this operator is not supported: it runs a graph of its own; export" in message


def test_recurrent_and_quantised_nodes_are_refused_together_with_what_to_do(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("GRU", ["t", "w", "r"], ["s", ""], "recurrent", hidden_size=2, clip=3.0),
        node("QuantizeLinear", ["x", "scale"], ["q"], "rounded"),
        node("DequantizeLinear", ["q", "scale"], ["y"], "back"),
    ]
    constants = {"w": random(1, 6, 3), "r": random(1, 6, 2), "scale": np.array(0.1, np.float32)}
    message = refused(tmp_path, nodes, {"x": (4, 3)}, constants, outputs=["y", "s"])
    assert "GRU 'recurrent': has clip = 3.0, which is not supported" in message
    assert "QuantizeLinear 'rounded': this operator is not supported: it computes in quantised" in message


def test_an_output_that_no_input_reaches_is_refused(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["y"], "relu"), node("Identity", ["c"], ["z"], "constant")]
    message = refused(tmp_path, nodes, {"x": (3,)}, {"c": random(2, 3)}, outputs=["y", "z"])
    assert "output 'z': does not depend on any input" in message


@pytest.mark.parametrize("dtype", ["STRING", "COMPLEX64"])
def test_inputs_that_are_no_numbers_are_refused(tmp_path: Path, dtype: str) -> None:
    model = graph_of([node("Identity", ["x"], ["y"])], {"x": (3,)})
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = getattr(onnx.TensorProto, dtype)
    with pytest.raises(UnsupportedError, match=f"input 'x': expected numbers or truth values, got {dtype}"):
        load_teacher(saved(tmp_path, model))


@pytest.mark.parametrize("shape", [("height", 3), (None,)], ids=str)
def test_inputs_with_open_feature_axes_are_refused(tmp_path: Path, shape: tuple) -> None:
    model = graph_of([node("Relu", ["x"], ["y"])], {"x": shape})
    with pytest.raises(UnsupportedError, match="input 'x': axis 1 has no fixed size"):
        load_teacher(saved(tmp_path, model))


def test_open_axes_are_not_asked_for_where_no_size_would_help(tmp_path: Path) -> None:
    """As in a quantised voice detector, whose input is of any length."""
    model = graph_of(
        [
            node("QuantizeLinear", ["x", "scale"], ["q"], "rounded"),
            node("DequantizeLinear", ["q", "scale"], ["y"], "back"),
        ],
        {"x": ("frames", 3)},
        {"scale": np.array(0.1, np.float32)},
    )
    with pytest.raises(UnsupportedError) as caught:
        load_teacher(saved(tmp_path, model))
    assert "2 of 2 nodes" in str(caught.value)
    assert "QuantizeLinear 'rounded'" in str(caught.value)
    assert "--input-shape" not in str(caught.value)


def test_open_axes_are_asked_for_where_they_decide_which_way_an_if_goes(tmp_path: Path) -> None:
    ways = {
        name: helper.make_graph(
            [node(operator, ["y"], [f"{name}_z"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_z", onnx.TensorProto.FLOAT, None)],
        )
        for name, operator in (("then_branch", "Relu"), ("else_branch", "Neg"))
    }
    nodes = [
        node("MatMul", ["x", "w"], ["y"], "product"),
        node("Shape", ["x"], ["sizes"], start=1, end=2),
        node("Equal", ["sizes", "three"], ["is_three"]),
        node("If", ["is_three"], ["z"], "way", **ways),
    ]
    constants = {"w": random(3, 2), "three": np.array([3], np.int64)}
    path = saved(tmp_path, graph_of(nodes, {"x": ("open",)}, constants, ["z"]))
    with pytest.raises(InputError, match="--input-shape"):
        load_teacher(path)
    assert [b.phi.name for b in load_teacher(path, {"x": (1, 3)}).model.blocks] == ["relu"]


def test_an_input_without_a_shape_is_refused(tmp_path: Path) -> None:
    model = graph_of([node("Relu", ["x"], ["y"])], {"x": ()})
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.ClearField("shape")
    with pytest.raises(UnsupportedError, match="input 'x': expected a batch axis"):
        load_teacher(saved(tmp_path, model))


def test_weights_of_another_type_than_the_inputs_are_refused_without_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = graph_of([node("Relu", ["x"], ["y"])], {"x": (3,)}, {"w": np.ones((3, 3), int)})
    model.graph.node[0].CopyFrom(node("MatMul", ["x", "w"], ["y"], "mixed"))
    with pytest.raises(ModelFileError, match="onnxruntime refuses the network"):
        load_teacher(saved(tmp_path, model))
    assert capfd.readouterr() == ("", "")


def _quantised() -> onnx.ModelProto:
    nodes = [
        node("QuantizeLinear", ["x", "s", "zero"], ["q"], "quant"),
        node("DequantizeLinear", ["q", "s", "zero"], ["d"], "dequant"),
        node("MatMul", ["d", "w"], ["y"], "rows"),
    ]
    constants = {"s": np.float32(0.1), "zero": np.uint8(0), "w": random(3, 2)}
    return graph_of(nodes, {"x": (3,)}, constants)


def _branching() -> onnx.ModelProto:
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "ab"]
    branches = {
        "then_branch": onnx.helper.make_graph([node("Relu", ["x"], ["a"])], "then", [], ends[:1]),
        "else_branch": onnx.helper.make_graph([node("Neg", ["x"], ["b"])], "else", [], ends[1:]),
    }
    nodes = [
        node("ReduceMax", ["x"], ["m"], "most", keepdims=0),
        node("Greater", ["m", "zero"], ["c"], "above"),
        node("If", ["c"], ["y"], "branch", **branches),
    ]
    return graph_of(nodes, {"x": (3,)}, {"zero": np.zeros((), np.float32)})


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            _quantised,
            "QuantizeLinear 'quant': this operator is not supported: it computes in quantised numbers",
        ),
        (_branching, "If 'branch': this operator is not supported: it runs a graph of its own"),
    ],
)
def test_whole_kinds_of_networks_are_refused_with_what_to_do(tmp_path: Path, network, message) -> None:
    with pytest.raises(UnsupportedError, match=message):
        load_teacher(saved(tmp_path, network()))


def test_an_end_with_parameters_of_any_kind_is_not_cut_off(tmp_path: Path) -> None:
    """Quantised weights, and weights of a graph inside a node, are parameters too."""
    rounded = [
        node("MatMul", ["x", "w"], ["h"], "rows"),
        node("QuantizeLinear", ["h", "scale"], ["q"], "rounded"),
        node("MatMulInteger", ["q", "v"], ["z"], "quantised"),
        node("Cast", ["z"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    weights = np.random.default_rng(0).integers(-9, 9, (4, 6)).astype(np.int8)
    constants = {"w": random(3, 4), "scale": np.float32(0.1), "v": weights}
    message = refused(tmp_path, rounded, {"x": (3,)}, constants)
    assert "2 of 4 nodes" in message
    assert "QuantizeLinear 'rounded'" in message
    assert "MatMulInteger 'quantised'" in message
    end = helper.make_empty_tensor_value_info
    ways = {
        "then_branch": helper.make_graph([node("MatMul", ["h", "v"], ["a"])], "then", [], [end("a")]),
        "else_branch": helper.make_graph([node("Neg", ["h"], ["b"])], "else", [], [end("b")]),
    }
    branching = [
        node("MatMul", ["x", "w"], ["h"], "rows"),
        node("Cast", ["flag"], ["c"], to=onnx.TensorProto.BOOL),
        node("Squeeze", ["c"], ["s"]),
        node("If", ["s"], ["y"], "branch", **ways),
    ]
    message = refused(tmp_path, branching, {"x": (3,), "flag": (1,)}, {"w": random(3, 4), "v": random(4, 4)})
    assert "If 'branch': this operator is not supported: it runs a graph of its own" in message
