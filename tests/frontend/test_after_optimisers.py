"""Files that onnxruntime's tools have written are read, or every node is named with what to give instead."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from sim_compress.errors import UnsupportedError
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import assert_exact, graph_of, node, random, saved

MICROSOFT = "com.microsoft"


def _network() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], "first"),
        node("Relu", ["a"], ["b"], "relu_1"),
        node("Conv", ["b", "w2"], ["c"], "second"),
        node("LeakyRelu", ["c"], ["d"], "relu_2", alpha=0.2),
        node("Flatten", ["d"], ["e"], "flat"),
        node("Gemm", ["e", "w3"], ["y"], "last"),
    ]
    constants = {
        "w1": random(4, 3, 3, 3),
        "b1": random(4, seed=1),
        "w2": random(4, 4, 3, 3, seed=2),
        "w3": random(4 * 4 * 4, 5, seed=3),
    }
    return graph_of(nodes, {"x": (3, 8, 8)}, constants)


def _optimised(folder: Path) -> Path:
    """The network as onnxruntime keeps it for itself."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    path = saved(folder, _network())
    onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return folder / "optimised.onnx"


def test_a_network_that_onnxruntime_has_optimised_is_exact(tmp_path: Path) -> None:
    path = _optimised(tmp_path)
    fused = [n.op_type for n in onnx.load(path).graph.node if n.domain == MICROSOFT]
    assert fused == ["FusedConv", "FusedConv"]
    assert_exact(load_teacher(path))


FUSED: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "Relu": ("FusedConv", ["x", "w", "b"], {"activation": "Relu"}),
    "no activation": ("FusedConv", ["x", "w", "b"], {}),
    "Tanh with a sum": ("FusedConv", ["x", "w", "b", "z"], {"activation": "Tanh"}),
    "a sum alone": ("FusedConv", ["x", "w", "b", "z"], {}),
    "Sigmoid": ("FusedConv", ["x", "w"], {"activation": "Sigmoid"}),
    "LeakyRelu": ("FusedConv", ["x", "w"], {"activation": "LeakyRelu", "activation_params": [0.3]}),
    "HardSigmoid": ("FusedConv", ["x", "w"], {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]}),
    "Clip": ("FusedConv", ["x", "w"], {"activation": "Clip", "activation_params": [-0.5, 1.5]}),
}


@pytest.mark.parametrize("name", FUSED)
def test_a_convolution_with_its_activation_is_exact(tmp_path: Path, name: str) -> None:
    kind, inputs, attributes = FUSED[name]
    fused = helper.make_node(
        kind, inputs, ["y"], "fused", domain=MICROSOFT, kernel_shape=[1, 1], **attributes
    )
    # What is added has the shape of the result.
    nodes = [node("Conv", ["x", "v"], ["z"], "beside"), fused] if "z" in inputs else [fused]
    constants = {
        name: value
        for name, value in {
            "w": random(4, 3, 1, 1),
            "b": random(4, seed=1),
            "v": random(4, 3, 1, 1, seed=2),
        }.items()
        if any(name in n.input for n in nodes)
    }
    model = graph_of(nodes, {"x": (3, 5, 5)}, constants, ["y"], domains={MICROSOFT: 1})
    assert_exact(load_teacher(saved(tmp_path, model)))


PRODUCTS: dict[str, dict[str, Any]] = {
    "Relu": {"activation": "Relu"},
    "LeakyRelu": {"activation": "LeakyRelu", "activation_alpha": 0.3},
    "transposed": {"activation": "Tanh", "transB": 1, "alpha": 0.5, "beta": 2.0},
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_with_its_activation_is_exact(tmp_path: Path, name: str) -> None:
    attributes = PRODUCTS[name]
    fused = helper.make_node("FusedGemm", ["x", "w", "b"], ["y"], "fused", domain=MICROSOFT, **attributes)
    w = random(6, 4).T if attributes.get("transB") else random(6, 4)
    constants = {"w": np.ascontiguousarray(w), "b": random(4, seed=1)}
    assert_exact(
        load_teacher(saved(tmp_path, graph_of([fused], {"x": (6,)}, constants, domains={MICROSOFT: 1})))
    )


@pytest.mark.parametrize(
    ("kind", "attributes"), [("Gelu", {}), ("BiasGelu", {}), ("QuickGelu", {}), ("QuickGelu", {"alpha": 1.2})]
)
def test_its_spellings_of_gelu_are_one_block(tmp_path: Path, kind: str, attributes: dict[str, Any]) -> None:
    inputs = ["a", "b"] if kind == "BiasGelu" else ["a"]
    nodes = [
        node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node(kind, inputs, ["y"], "gelu", domain=MICROSOFT, **attributes),
    ]
    constants = {"w": random(6, 4), **({"b": random(4, seed=1)} if kind == "BiasGelu" else {})}
    model = graph_of(nodes, {"x": (6,)}, constants, domains={MICROSOFT: 1})
    teacher = load_teacher(saved(tmp_path, model))
    assert_exact(teacher)
    assert [b.phi.name for b in teacher.model.blocks if b.phi.name != "identity"] in (["gelu"], ["swish"])


def _normalised(fused: bool) -> onnx.ModelProto:
    """Two residual layers, each sum in one node with the normalisation behind it or apart."""

    def normalised(index: int, source: str, target: str) -> list[onnx.NodeProto]:
        inputs = [source, f"a{index}"]
        if fused:
            names = {"name": f"skip{index}", "domain": MICROSOFT}
            return [
                helper.make_node(
                    "SkipLayerNormalization", [*inputs, f"g{index}", f"h{index}"], [target], **names
                )
            ]
        return [
            node("Add", inputs, [f"s{index}"], f"add{index}"),
            node("LayerNormalization", [f"s{index}", f"g{index}", f"h{index}"], [target], f"norm{index}"),
        ]

    nodes = [
        node("MatMul", ["x", "w1"], ["a1"], "first"),
        *normalised(1, "x", "n1"),
        node("MatMul", ["n1", "w2"], ["a2"], "second"),
        *normalised(2, "n1", "y"),
    ]
    constants = {f"w{i}": random(8, 8, seed=i) for i in (1, 2)}
    constants |= {f"{c}{i}": random(8, seed=i + 5) for i in (1, 2) for c in "gh"}
    return graph_of(nodes, {"x": (3, 8)}, constants, domains={MICROSOFT: 1})


def test_fused_nodes_that_are_not_read_are_all_named_with_what_to_give_instead(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="before onnxruntime optimised") as caught:
        load_teacher(saved(tmp_path, _normalised(fused=True)))
    for index in (1, 2):
        assert f"{MICROSOFT}.SkipLayerNormalization 'skip{index}'" in str(caught.value)


def test_what_is_to_be_given_instead_is_read(tmp_path: Path) -> None:
    assert_exact(load_teacher(saved(tmp_path, _normalised(fused=False))))


def _quantised() -> onnx.ModelProto:
    """Two convolutions and a layer that compute in whole numbers, between quantise and dequantise."""

    def convolution(index: int, source: str, target: str) -> onnx.NodeProto:
        weights = [f"w{index}", "scale", "zero"]
        return node("QLinearConv", [source, "scale", "zero", *weights, "scale", "zero"], [target], target)

    def whole(*shape: int) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)

    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"], "quantise"),
        convolution(1, "q", "first"),
        convolution(2, "first", "second"),
        node("Flatten", ["second"], ["flat"], "flat"),
        helper.make_node(
            "QGemm",
            ["flat", "scale", "zero", "w3", "scale", "zero", "", "scale", "zero"],
            ["scores"],
            "gemm",
            domain=MICROSOFT,
        ),
        node("DequantizeLinear", ["scores", "scale", "zero"], ["y"], "dequantise"),
    ]
    constants: dict[str, Any] = {
        "scale": np.float32(0.05),
        "zero": np.uint8(128),
        "w1": whole(4, 3, 3, 3),
        "w2": whole(4, 4, 3, 3),
        "w3": whole(4 * 4 * 4, 5),
    }
    return graph_of(nodes, {"x": (3, 8, 8)}, constants, domains={MICROSOFT: 1})


def _named(nodes: Sequence[onnx.NodeProto]) -> list[str]:
    return [f"{n.domain + '.' if n.domain else ''}{n.op_type} {n.name!r}" for n in nodes]


def test_every_node_that_computes_in_whole_numbers_is_named(tmp_path: Path) -> None:
    model = _quantised()
    path = saved(tmp_path, model)
    onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with pytest.raises(UnsupportedError, match="before quantisation") as caught:
        load_teacher(path)
    message = str(caught.value)
    assert "5 of 6 nodes" in message
    for name in _named([n for n in model.graph.node if n.op_type != "Flatten"]):
        assert name in message
    assert "'flat'" not in message
