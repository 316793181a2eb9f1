"""Every nonlinear operator, alone in a graph, equals onnxruntime's in every version of its operator set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest

from sim_compress.frontend import StateTensors
from tests.frontend.graphs import exact, node, random, refused

OLDEST, NEWEST = 7, 22
X = {"x": (4, 5, 6)}
VECTOR = {"x": (6,)}
TWO = {"x": (4, 5, 6), "u": (1, 5, 1)}


class Case(NamedTuple):
    """A node of inputs x, u, ... and constants, and the phi of its one block."""

    phi: str
    operator: str
    inputs: Mapping[str, tuple[int, ...]] = X
    constants: Mapping[str, Any] = {}
    attributes: Mapping[str, Any] = {}
    order: str = ""
    oldest: int = OLDEST
    newest: int = NEWEST


GROUPS = {"num_groups": 2}
CASES = [
    *(
        Case(phi, operator)
        for operator, phi in {
            "Abs": "abs",
            "Atan": "atan",
            "Ceil": "ceil",
            "Cos": "cos",
            "Elu": "elu",
            "Erf": "erf",
            "Exp": "exp",
            "Floor": "floor",
            "HardSigmoid": "hard_sigmoid",
            "HardSwish": "hard_swish",
            "Log": "log",
            "Mish": "mish",
            "Reciprocal": "reciprocal",
            "Relu": "relu",
            "Round": "round",
            "Selu": "selu",
            "Sigmoid": "sigmoid",
            "Sign": "sign",
            "Sin": "sin",
            "Sinh": "sinh",
            "Cosh": "cosh",
            "Asinh": "asinh",
            "Softplus": "softplus",
            "Softsign": "softsign",
            "Sqrt": "sqrt",
            "Tan": "tan",
            "Tanh": "tanh",
            "Asin": "asin",
            "Acos": "acos",
            "Acosh": "acosh",
            "Atanh": "atanh",
        }.items()
    ),
    Case("celu", "Celu", attributes={"alpha": 0.7}),
    Case("elu", "Elu", attributes={"alpha": 0.3}),
    Case("gelu", "Gelu"),
    Case("gelu_tanh", "Gelu", attributes={"approximate": "tanh"}),
    Case("hard_sigmoid", "HardSigmoid", attributes={"alpha": 0.3, "beta": 0.4}),
    Case("selu", "Selu", attributes={"alpha": 1.1, "gamma": 0.7}),
    Case("shrink", "Shrink", attributes={"lambd": 0.3, "bias": 0.1}),
    Case("thresholded_relu", "ThresholdedRelu", attributes={"alpha": 0.2}),
    Case("prelu", "PRelu", constants={"c": random(4, 1, 1)}),
    Case("prelu", "PRelu", constants={"c": random(6)}),
    Case("prelu", "PRelu", constants={"c": random(1, 4, 5, 6)}),
    Case("leaky_relu", "PRelu", constants={"c": np.full((1, 1, 1), 0.2, np.float32)}),
    Case("product", "Mul", TWO),
    Case("square", "Mul", order="x x"),
    Case("quotient", "Div", TWO),
    Case("quotient", "Div", constants={"c": random(5, 6)}, order="c x"),
    Case("reciprocal", "Div", constants={"c": np.float32(3)}, order="c x"),
    Case("maximum", "Max", TWO, oldest=8),
    Case("maximum", "Max", TWO, {"c": random(6)}, oldest=8),
    Case("minimum", "Min", TWO, oldest=8),
    Case("clip", "Max", constants={"c": np.float32(0.1)}, oldest=8),
    Case("clip", "Min", constants={"c": np.float32(0.1)}, order="c x", oldest=8),
    Case("square", "Pow", constants={"c": np.float32(2)}),
    Case("sqrt", "Pow", constants={"c": np.float32(0.5)}),
    Case("reciprocal", "Pow", constants={"c": np.float32(-1)}),
    Case("power", "Pow", constants={"c": np.float32(3)}),
    Case("power", "Pow", constants={"c": np.array([1.5], np.float32)}),
    Case("raised", "Pow", constants={"c": np.array([1, 2, 3, 1, 2, 3], np.float32)}),
    Case("raised", "Pow", constants={"c": np.float32(2)}, order="c x"),
    Case("truncated_remainder", "Mod", TWO, attributes={"fmod": 1}),
    Case("matmul", "MatMul", {"x": (2, 3, 4), "u": (1, 4, 5)}),
    *(
        Case(phi, operator, attributes={"axes": [2, 3], "keepdims": keep % 2}, newest=17)
        for keep, (operator, phi) in enumerate(
            {
                "ReduceMax": "reduce_max",
                "ReduceMin": "reduce_min",
                "ReduceL1": "reduce_l1",
                "ReduceL2": "reduce_l2",
                "ReduceSumSquare": "reduce_sum_square",
                "ReduceLogSumExp": "reduce_log_sum_exp",
                "ReduceProd": "reduce_prod",
            }.items()
        )
    ),
    *(
        Case(phi, operator, constants={"c": np.array([-1, 1])}, oldest=18)
        for operator, phi in {"ReduceMax": "reduce_max", "ReduceL2": "reduce_l2"}.items()
    ),
    *(
        Case(phi, operator, inputs, attributes=attributes)
        for operator, phi in {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Hardmax": "hardmax"}.items()
        for inputs, attributes in ((X, {"axis": 2}), (X, {}), (VECTOR, {"axis": -1}))
    ),
    Case("layer_norm", "LayerNormalization", constants={"c": random(6), "d": random(6, seed=1)}),
    Case("layer_norm", "LayerNormalization", constants={"c": random(5, 6)}, attributes={"axis": -2}),
    Case("layer_norm", "LayerNormalization", constants={"c": np.ones(6, np.float32)}),
    Case("layer_norm", "InstanceNormalization", constants={"c": random(4), "d": random(4, seed=1)}),
    Case(
        "layer_norm", "GroupNormalization", X, {"c": random(2), "d": random(2)}, GROUPS, oldest=18, newest=20
    ),
    Case("layer_norm", "GroupNormalization", X, {"c": random(4), "d": random(4)}, GROUPS, oldest=21),
    Case("layer_norm", "MeanVarianceNormalization", attributes={"axes": [2, 3]}),
    Case("lp_norm", "LpNormalization", attributes={"axis": 1}),
    Case("lp_norm", "LpNormalization", attributes={"p": 1}),
    Case("lrn", "LRN", attributes={"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 2.0}),
]
# Results of another type than float32.
OTHER_TYPES = [
    Case("arg_max", "ArgMax", attributes={"axis": -1, "keepdims": 0}),
    Case("arg_max", "ArgMax", attributes={"axis": 1}),
    Case("not", "Not", {"b": (5,)}),
    Case("and", "And", {"b": (4, 5), "e": (1, 5)}),
    Case("or", "Or", {"b": (4, 5), "e": (1, 5)}),
    Case("xor", "Xor", {"b": (4, 5)}, {"c": np.array([True, False, True, True, False])}),
    Case("equal", "Equal", {"x": (5,), "u": (5,)}, oldest=11),
    Case("less", "Less", TWO),
    Case("less_or_equal", "LessOrEqual", constants={"c": np.float32(0.1)}),
    Case("greater", "Greater", constants={"c": random(6)}, order="c x"),
    Case("greater_or_equal", "GreaterOrEqual", TWO),
]


def versions(case: Case) -> list[int]:
    """One operator set for each version of the operator."""
    schemas = [
        s for s in onnx.defs.get_all_schemas_with_history() if s.name == case.operator and not s.domain
    ]
    since = sorted({max(s.since_version, case.oldest) for s in schemas if s.since_version <= case.newest})
    return since if since[-1] < NEWEST and case.newest < NEWEST else [*since, case.newest]


# Operators that onnxruntime replaces by their bodies, whose nodes have no names.
BODIES = ("GroupNormalization", "HardSwish", "Mish")


def pairs(cases: list[Case]) -> list:
    return [
        pytest.param(case, opset, id=f"{case.operator} {case.phi} {opset}")
        for case in cases
        for opset in dict.fromkeys(versions(case))
    ]


@pytest.mark.parametrize(("case", "opset"), pairs(CASES))
def test_a_nonlinear_node_is_one_block_that_equals_onnxruntime(
    tmp_path: Path, case: Case, opset: int
) -> None:
    names = case.order.split() or [*case.inputs, *case.constants]
    alone = node(case.operator, names, ["y"], "phi", **case.attributes)
    teacher = exact(tmp_path, [alone], case.inputs, case.constants, opset=opset)
    (block,) = teacher.model.blocks
    assert block.phi.name == case.phi
    assert block.name == "phi" or case.operator in BODIES


@pytest.mark.parametrize(("case", "opset"), pairs(OTHER_TYPES))
def test_truth_and_places_are_numbers_between_blocks(tmp_path: Path, case: Case, opset: int) -> None:
    """Inputs named b and e are cast to truth values first, results to floats last."""
    truth = [name for name in case.inputs if name in "be"]
    before = [node("Cast", [name], [name + name], to=onnx.TensorProto.BOOL) for name in truth]
    names = case.order.split() or [*case.inputs, *case.constants]
    names = [name + name if name in truth else name for name in names]
    nodes = [
        *before,
        node(case.operator, names, ["z"], "phi", **case.attributes),
        node("Cast", ["z"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    teacher = exact(tmp_path, nodes, case.inputs, case.constants, opset=opset)
    assert [b.phi.name for b in teacher.model.blocks] == [*["nonzero"] * len(truth), case.phi]


def test_the_logarithm_of_a_sum_is_exact(tmp_path: Path) -> None:
    nodes = [node("Abs", ["x"], ["a"]), node("ReduceLogSum", ["a"], ["y"], "phi", axes=[1])]
    assert exact(tmp_path, nodes, X).tensors["phi"].maps


FOUR = {"x": (5, 40), "u": (1, 40), "v": (5, 40)}
SMALL = np.float32(0.1)
CHOICES = {
    "computed": (["s", "x", "u"], {}),
    "computed between constants": (["s", "c", "d"], {"c": SMALL, "d": random(40)}),
    "computed with minus infinity": (["s", "x", "c"], {"c": np.float32(-np.inf)}),
    "fixed": (["c", "x", "v"], {"c": random(40) > 0}),
    "fixed with a constant": (["c", "x", "d"], {"c": random(5, 40) > 0, "d": np.full((5, 40), SMALL)}),
}


@pytest.mark.parametrize(("names", "constants"), CHOICES.values(), ids=CHOICES)
def test_a_choice_is_exact(tmp_path: Path, names: list[str], constants: dict) -> None:
    nodes = [
        node("Greater", ["x", "u"], ["s"], "side"),
        node("Where", names, ["w"], "choice"),
        node("Softmax", ["w"], ["y"], axis=-1),
        node("Cast", ["s"], ["f"], to=1),
    ]
    exact(tmp_path, nodes, FOUR, constants, outputs=["y", "f"])


@pytest.mark.parametrize("wanted", [onnx.TensorProto.INT64, onnx.TensorProto.INT8], ids=["int64", "int8"])
def test_a_cast_to_whole_numbers_cuts_towards_zero(tmp_path: Path, wanted: int) -> None:
    nodes = [
        node("Cast", ["x"], ["w"], "cut", to=wanted),
        node("Cast", ["w"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    teacher = exact(
        tmp_path, [node("Mul", ["u", "k"], ["x"]), *nodes], {"u": (40,)}, {"k": np.asarray(9, np.float32)}
    )
    assert [b.phi.name for b in teacher.model.blocks] == ["truncate"]


def test_rows_before_a_node_of_several_inputs_become_blocks_of_their_own(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"], "query"),
        node("MatMul", ["x", "v"], ["b"], "key"),
        node("Transpose", ["b"], ["t"], "moved", perm=[0, 2, 1]),
        node("MatMul", ["a", "t"], ["s"], "scores"),
        node("Softmax", ["s"], ["p"], "weights", axis=-1),
        node("MatMul", ["p", "x"], ["y"], "mixed"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (5, 4)}, {"w": random(4, 3), "v": random(4, 3, seed=1)})
    rows = {b.name: len(b.affine.weighted) for b in teacher.model.blocks}
    assert rows == {"query": 1, "key": 1, "scores": 0, "weights": 0, "mixed": 0}
    assert teacher.tensors["scores"] == StateTensors(None, "s")
    assert teacher.tensors["weights"] == StateTensors("s", "p")


def test_scale_and_shift_of_a_normalisation_stand_behind_its_state(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "rows"),
        node("LayerNormalization", ["h", "c", "d"], ["y"], "norm"),
    ]
    constants = {"w": random(4, 6), "c": random(6), "d": random(6, seed=1)}
    teacher = exact(tmp_path, nodes, {"x": (5, 4)}, constants)
    assert [b.name for b in teacher.model.blocks] == ["norm"]
    before, after, maps = teacher.tensors["norm"]
    assert (before, after, len(maps)) == ("h", "y", 2)


REFUSED = {
    "computed slopes": ([node("PRelu", ["x", "u"], ["y"])], "computed by the network"),
    "a stretched batch": ([node("Max", ["x", "c"], ["y"])], "3 entries along axis 0, the batch axis"),
    "whole numbers divided": (
        [
            node("Cast", ["x"], ["a"], to=onnx.TensorProto.INT64),
            node("Cast", ["u"], ["b"], to=onnx.TensorProto.INT64),
            node("Div", ["a", "b"], ["d"]),
            node("Cast", ["d"], ["y"], to=1),
        ],
        "divides whole numbers",
    ),
    "the last of equals": (
        [node("ArgMax", ["x"], ["a"], axis=1, select_last_index=1), node("Cast", ["a"], ["y"], to=1)],
        "the last of equals",
    ),
    "the largest of the batch": (
        [node("ArgMax", ["x"], ["a"]), node("Cast", ["a"], ["y"], to=1)],
        "acts along axis 0 of [N, 5, 4], the batch axis",
    ),
    "the batch normalised": (
        [node("Softmax", ["x"], ["y"], axis=0)],
        "acts along axis 0 of [N, 5, 4], the batch axis",
    ),
    "the batch reduced": (
        [node("ReduceMax", ["x"], ["y"], axes=[0, 1])],
        "acts along axis 0 of [N, 5, 4], the batch axis",
    ),
    "text": ([node("Cast", ["x"], ["a"], to=8), node("Cast", ["a"], ["y"], to=1)], "casts to STRING"),
}


@pytest.mark.parametrize(("nodes", "reason"), REFUSED.values(), ids=REFUSED)
def test_nonlinear_nodes_outside_the_state_model_are_refused(
    tmp_path: Path, nodes: list[onnx.NodeProto], reason: str
) -> None:
    inputs = {"x": (5, 4), "u": (1, 4)}
    assert reason in refused(tmp_path, nodes, inputs, {"c": random(3, 5, 4)})
