"""What is known of a graph while its nodes are written anew: layouts of tensors, constants old and new."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.frontend.straightening.axes import CrookedError, Layout
from sim_compress.model.maps import Array


class Stretch:
    """What is known so far of a graph: tensors that do not have the batch first, constants made."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.constants = {i.name: i for i in graph.initializer}
        values = (*graph.input, *graph.value_info, *graph.output)
        self.dims = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.layouts: dict[str, Layout] = {}
        self.constants_made: list[onnx.TensorProto] = []
        self.moved = False

    def rank(self, node: onnx.NodeProto) -> int:
        """Number of axes of a node's first input in the file."""
        if node.input[0] not in self.dims:
            raise CrookedError
        return len(self.dims[node.input[0]])

    def value(self, name: str) -> Array | None:
        """A constant, None for an activation."""
        return numpy_helper.to_array(self.constants[name]) if name in self.constants else None

    def store(self, node: onnx.NodeProto, position: int, values: Array) -> None:
        """Give a node a new constant input."""
        name = f"{node.output[0]}:straight{position}"
        self.constants[name] = numpy_helper.from_array(np.asarray(values), name)
        self.constants_made.append(self.constants[name])
        del node.input[position : position + 1]
        node.input.insert(position, name)

    def numbers(self, node: onnx.NodeProto, name: str, position: int) -> list[int] | None:
        """A list of whole numbers that is an attribute or a constant input; None where there is none."""
        for attribute in node.attribute:
            if attribute.name == name:
                return list(attribute.ints) or [attribute.i]
        if position < len(node.input) and node.input[position]:
            values = self.value(node.input[position])
            if values is None:
                raise CrookedError
            return [int(v) for v in values.ravel()]
        return None

    def renumber(self, node: onnx.NodeProto, name: str, position: int, axes: Sequence[int]) -> None:
        """Write axes where the node has them: in its attribute or its constant input."""
        for attribute in node.attribute:
            if attribute.name == name:
                single = attribute.type == onnx.AttributeProto.INT
                attribute.CopyFrom(helper.make_attribute(name, axes[0] if single else list(axes)))
                return
        self.store(node, position, np.array(axes, np.int64))
