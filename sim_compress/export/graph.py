"""An ONNX graph under construction: nodes in order, constants, unique names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import helper, numpy_helper

from sim_compress.model import Shape
from sim_compress.storage import OnDisk

# The operator set in which all reductions but ReduceSum take their axes as an input.
AXES_AS_INPUT = 18
# Bytes of a constant that waits in a file until the graph is written: all together may not fit into memory.
LARGE = 2**24


class Graph:
    """Nodes and constants; a node belongs to the block whose name is the current scope.

    Tensors are named by what they are: a block's state by the block, all others `scope/number`.

    Attributes:
        nodes: in order.
        constants: without the numbers of large ones, which are in `values`.
        values: name of a large constant -> its numbers, in a file.
    """

    def __init__(self, taken: Sequence[str], opset: int) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values: dict[str, NDArray[Any]] = {}
        self.scope = ""
        self._shared: dict[tuple[int, ...], str] = {}
        self._taken = set(taken)

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node with one output and give the output's name."""
        output = self._fresh(operator)
        kept = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **kept))
        return output

    def reals(self, values: ArrayLike, what: str = "constant") -> str:
        """A float32 constant."""
        return self._constant(np.asarray(values, np.float32), what)

    def shared(self, values: NDArray[np.float32], what: str, of: object) -> str:
        """A float32 constant made of the rows of a block; the same one wherever it is asked for again.

        Args:
            values: in the form that a node reads.
            what: its name.
            of: the object that they are made of.
        """
        # Of two forms of a square weight one is the transpose of the other: their strides differ.
        key = (id(of), *values.shape, *values.strides)
        if key not in self._shared:
            other = (
                self._shared.get((id(of), *values.T.shape, *values.T.strides)) if values.ndim == 2 else None
            )
            self._shared[key] = (
                self.reals(values, what) if other is None else self.node("Transpose", [other], perm=[1, 0])
            )
        return self._shared[key]

    def integers(self, values: ArrayLike, what: str = "constant") -> str:
        """An int64 constant."""
        return self._constant(np.asarray(values, np.int64), what)

    def named(self, tensor: str, name: str) -> None:
        """Give a tensor the name of a block or output, which was kept free for it."""
        last = self.nodes[-1] if self.nodes else None
        if last is not None and list(last.output) == [tensor] and tensor.startswith(f"{self.scope}/"):
            last.output[0] = last.name = name
        else:
            self.nodes.append(helper.make_node("Identity", [tensor], [name], name=name))

    def _constant(self, array: np.ndarray, what: str) -> str:
        name = self._fresh(what)
        if array.nbytes < LARGE:
            self.constants.append(numpy_helper.from_array(array, name))
            return name
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.constants.append(onnx.TensorProto(name=name, data_type=kind, dims=array.shape))
        self.values[name] = OnDisk(least=0).kept(np.ascontiguousarray(array))
        return name

    def _fresh(self, what: str) -> str:
        name, number = f"{self.scope}/{what}", 1
        while name in self._taken:
            number += 1
            name = f"{self.scope}/{what}_{number}"
        self._taken.add(name)
        return name


def reshaped(graph: Graph, tensor: str, shape: Shape) -> str:
    """The tensor (N, ...) as (N, *shape)."""
    return graph.node("Reshape", [tensor, graph.integers([0, *shape], "shape")])


def moved_axis(graph: Graph, tensor: str, rank: int, source: int, target: int) -> str:
    """The tensor (N, *shape of that rank) with one feature axis moved."""
    if source == target:
        return tensor
    order = [axis for axis in range(rank + 1) if axis != source + 1]
    order.insert(target + 1, source + 1)
    return graph.node("Transpose", [tensor], perm=order)


def real(graph: Graph, tensor: str) -> str:
    """A truth value or whole number as float32."""
    return graph.node("Cast", [tensor], to=onnx.TensorProto.FLOAT)


def reduced(graph: Graph, operator: str, tensor: str, axes: Sequence[int], keepdims: int = 0) -> str:
    """A reduction along axes of (N, *shape), which are an input of the node since operator set 18."""
    if graph.opset >= AXES_AS_INPUT or operator == "ReduceSum":
        return graph.node(operator, [tensor, graph.integers(list(axes), "axes")], keepdims=keepdims)
    return graph.node(operator, [tensor], axes=list(axes), keepdims=keepdims)
