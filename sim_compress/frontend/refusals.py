"""Refused nodes, all in one message."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import helper

from sim_compress.errors import UnsupportedError
from sim_compress.frontend.nodes import STANDARD, qualified_name, standard_opset
from sim_compress.frontend.operators import OPERATORS

UNSUPPORTED = "this operator is not supported"
BRANCHING = "runs a graph of its own; export the network for one path, without control flow"
QUANTISED = "computes in quantised numbers; export the network in float, before quantisation"
RANDOM = "draws random numbers; export the network in evaluation mode"
ADVICE = (
    "docs/operators.md lists what is supported; export the network without these nodes, or cut it before "
    "them (onnx.utils.extract_model) and compress the part that is supported"
)
MICROSOFT = "com.microsoft"
FUSED = "onnxruntime's own operator; give the network as it was before onnxruntime optimised or quantised it"
REASONS = {
    **dict.fromkeys(("If", "Loop", "Scan", "SequenceMap"), BRANCHING),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"), QUANTISED),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"), QUANTISED),
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), RANDOM),
    **dict.fromkeys(("Bernoulli", "Multinomial"), RANDOM),
}
# How many of the first inputs of a node decide which of its graphs runs, and how often.
DECIDING = {"If": 1, "Loop": 2, "Scan": 0}


def reason(operator: str) -> str:
    """Why an operator that is in no table is refused, and what to do about it."""
    return f"{UNSUPPORTED}: it {REASONS[operator]}" if operator in REASONS else UNSUPPORTED


class RefusedNodesError(UnsupportedError):
    """Nodes without a place in the state model, named in the message."""


@dataclass(frozen=True)
class Refused:
    """One node without a place in the state model.

    Attributes:
        is_unknown: whether none of its kind, or of its size, has one.
        output: the first tensor that it gives.
    """

    operator: str
    node: str
    reason: str
    is_unknown: bool = False
    output: str = ""

    @classmethod
    def of(cls, node: onnx.NodeProto, reason: str, is_unknown: bool = False) -> "Refused":
        """The refusal of a node; a node without a name goes by its first output's."""
        name = node.name or f"-> {node.output[0]}"
        return cls(qualified_name(node), name, reason, is_unknown, node.output[0])


def reason_in(graph: onnx.GraphProto, node: onnx.NodeProto) -> str:
    """The same for a node of a graph: of an If with the input that alone decides which way it goes."""
    decides = _inputs_behind(graph, node.input[0]) if node.op_type == "If" else []
    if len(decides) != 1 or decides[0].type.tensor_type.shape.dim:
        return reason(node.op_type)
    name, kind = decides[0].name, decides[0].type.tensor_type.elem_type
    value = f"np.array(VALUE, np.{helper.tensor_dtype_to_np_dtype(kind).name})"
    return (
        f"{UNSUPPORTED}: the input {name!r} decides which of its graphs runs; write the value that it has in "
        f"use into the file: model.graph.initializer.append(onnx.numpy_helper.from_array({value}, {name!r}))"
    )


def _inputs_behind(graph: onnx.GraphProto, tensor: str) -> list[onnx.ValueInfoProto]:
    """The inputs of a graph that a tensor follows from."""
    made = {name: n for n in graph.node for name in n.output}
    behind, ahead = set[str](), [tensor]
    while ahead:
        name = ahead.pop()
        if name not in behind:
            behind.add(name)
            ahead += made[name].input if name in made else []
    return [i for i in graph.input if i.name in behind]


def refusal_message(refused: Sequence[Refused], nodes: int, advice: str = ADVICE) -> str:
    """One message that names every refused node, why, and what to do next."""
    lines = [f"  {r.operator} {r.node!r}: {r.reason}" for r in refused]
    return "\n".join(
        [
            f"{len(refused)} of {nodes} nodes have no place in the state model:",
            *lines,
            advice,
        ]
    )


def check_known_operators(model: onnx.ModelProto) -> None:
    """UnsupportedError where a node's operator is in no standard operator set.

    onnxruntime can fold nothing in such a file, so that the unsupported operators beside it are listed
    from the file as it stands.
    """
    nodes, opset = model.graph.node, standard_opset(model)
    foreign = [n for n in nodes if not _is_standard(n, opset)]
    if not foreign:
        return
    types = _types(model, foreign)
    refused = [
        Refused.of(n, reason(n.op_type)) if _is_standard(n, opset) else Refused.of(n, _unknown(n, opset))
        for n in nodes
        if not _is_standard(n, opset)
        or (
            n.input
            and qualified_name(n) not in OPERATORS
            and (n.op_type in REASONS or not _is_integer(n, types))
        )
    ]
    raise RefusedNodesError(refusal_message(refused, len(nodes)))


def beyond_help(graph: onnx.GraphProto) -> list[Refused]:
    """The nodes that no shape of the inputs makes possible, because they read values that follow from inputs.

    What constants and shapes decide, as the way an If goes, clean-up folds once the shapes are known.
    """
    known = {i.name for i in graph.initializer}
    values = {i.name for i in graph.input} - known
    found: list[Refused] = []
    for node in graph.node:
        inner = any(a.HasField("g") or a.graphs for a in node.attribute)
        reads = bool(values & set(node.input))
        decided = bool(values & set(node.input[: DECIDING.get(node.op_type)]))
        if decided and node.domain in STANDARD and node.op_type in REASONS:
            found.append(Refused.of(node, reason_in(graph, node)))
        if (reads or inner) and node.op_type not in ("Shape", "Size"):
            values |= set(node.output)
    return found


def _types(model: onnx.ModelProto, foreign: Sequence[onnx.NodeProto]) -> dict[str, int]:
    """Element types as far as they follow without the foreign nodes, which stop shape inference."""
    standard = onnx.ModelProto()
    standard.CopyFrom(model)
    for node in foreign:
        standard.graph.node.remove(node)
    inferred = onnx.shape_inference.infer_shapes(standard).graph.value_info
    return {v.name: v.type.tensor_type.elem_type for v in inferred}


def _is_standard(node: onnx.NodeProto, opset: int) -> bool:
    known = min(opset, onnx.defs.onnx_opset_version())
    return node.domain in STANDARD and onnx.defs.has(node.op_type, known, "")


def _unknown(node: onnx.NodeProto, opset: int) -> str:
    if node.domain == MICROSOFT:
        return FUSED
    if node.domain in STANDARD and onnx.defs.has(node.op_type):
        return f"this operator is in no standard operator set up to {opset}, the file's"
    return "this operator is in no standard operator set"


def _is_integer(node: onnx.NodeProto, types: dict[str, int]) -> bool:
    """Whether a node computes integers, as shape arithmetic does (which clean-up folds)."""
    floats = (onnx.TensorProto.UNDEFINED, onnx.TensorProto.FLOAT)
    return types.get(node.output[0], onnx.TensorProto.UNDEFINED) not in floats
