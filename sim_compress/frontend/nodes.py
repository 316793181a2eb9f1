"""What a node and a model of ONNX say of themselves: operator, attributes, operator set."""

from typing import Any

import onnx
from onnx import helper

STANDARD = ("", "ai.onnx")
# From which operator set on the axes of a reduction are an input; AXES_OPSET where it is not named.
AXES_ARE_INPUT = {"ReduceSum": 13}
AXES_OPSET = 18


def qualified_name(node: onnx.NodeProto) -> str:
    """Operator type with its domain where that is not the standard one."""
    return node.op_type if node.domain in STANDARD else f"{node.domain}.{node.op_type}"


def standard_opset(model: onnx.ModelProto) -> int:
    """Version of the standard operator set, 1 where none is named."""
    return next((o.version for o in model.opset_import if o.domain in STANDARD), 1)


def axes_are_input(operator: str, opset: int) -> bool:
    """Whether a reduction has its axes as an input, and not as an attribute."""
    return opset >= AXES_ARE_INPUT.get(operator, AXES_OPSET)


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """An attribute's value: number, text, a list of either, or a tensor."""
    for found in node.attribute:
        if found.name == name:
            value = helper.get_attribute_value(found)
            if found.type == onnx.AttributeProto.STRINGS:
                return [text.decode() for text in value]
            return value.decode() if isinstance(value, bytes) else value
    return default
