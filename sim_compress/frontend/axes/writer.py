"""The graph that comes out of the axis pass, in two forms that rules write at once.

For one sample, as the state model sees it, no axis holds samples. With the samples first, as onnxruntime runs
it, every activation has one more axis in front. Axes and sizes of a rule are those of one sample; the form
shifts them.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.frontend.axes.placed import Placed, Stored
from sim_compress.frontend.weights import LARGEST_INSIDE, single, stub
from sim_compress.model import Shape
from sim_compress.model.maps import Array


class Writer:
    """Nodes and constants written so far.

    Attributes:
        shift: 1 where the samples come first, 0 where there is one sample.
        weights: of constants that it made.
    """

    def __init__(self, samples_first: bool, taken: Collection[str] = ()) -> None:
        """Start without nodes; `taken` names are those of the file."""
        self._taken = taken
        self.shift = int(samples_first)
        self.nodes: list[onnx.NodeProto] = []
        self._counted: set[str] = set()
        self.constants: dict[str, onnx.TensorProto] = {}
        self.weights: dict[str, Array] = {}

    def axis(self, axis: int) -> int:
        """An axis of one sample in this form."""
        return axis + self.shift

    def axes(self, axes: Sequence[int]) -> list[int]:
        return [self.axis(a) for a in axes]

    def sizes(self, shape: Sequence[int]) -> list[int]:
        """A shape of one sample as the target of a Reshape."""
        return [0] * self.shift + list(shape)

    def constant(self, values: Array, output: str) -> str:
        """Store a constant for the node that gives `output`."""
        name = f"{output}:constant{len(self.constants)}"
        while name in self._taken or f"{name}:{self.shift}" in self._taken:
            name += "'"
        if values.dtype == np.float32 and values.size > LARGEST_INSIDE:
            # Both forms have constants of one name.
            key = f"{name}:{self.shift}"
            self.weights[key] = single(values)
            self.constants[name] = stub(name, values, key)
        else:
            stored = np.ascontiguousarray(values).reshape(values.shape)
            self.constants[name] = numpy_helper.from_array(stored, name)
        return name

    def integers(self, values: Sequence[int] | Array, output: str) -> str:
        return self.constant(np.asarray(values, np.int64), output)

    def keep(self, stored: Stored, name: str) -> str:
        """A constant of the file under its own name."""
        self.constants[name] = stored.tensor
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any) -> str:
        """A new node; gives its output."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name, **attributes))
        return output

    def copy(self, node: onnx.NodeProto, inputs: Sequence[str], **replaced: Any) -> None:
        """A node of the file with other inputs and attributes; an attribute that becomes None is left out."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.attribute[:]
        copy.input.extend(inputs)
        copy.attribute.extend(a for a in node.attribute if a.name not in replaced)
        copy.attribute.extend(helper.make_attribute(k, v) for k, v in replaced.items() if v is not None)
        self.nodes.append(copy)

    def split(
        self, inputs: Sequence[str], parts: Sequence[tuple[str, int]], name: str, **attributes: Any
    ) -> None:
        """A Split into named parts."""
        outputs = [output for output, _ in parts]
        self.nodes.append(helper.make_node("Split", list(inputs), outputs, name, **attributes))

    def reshaped(self, tensor: str, shape: Sequence[int], output: str, name: str = "") -> str:
        return self.add("Reshape", [tensor, self.integers(self.sizes(shape), output)], output, name)

    def operand(self, name: str, x: Placed, output: str) -> str:
        """An input of the node that gives `output`: an activation by name, a constant as of one sample."""
        if not x.is_known:
            return name
        if x.stored is not None and x.batch is None:
            return self.keep(x.stored, name)
        return self.constant(x.sample_value, output)

    def for_each_sample(self, values: Array, beside: str, output: str) -> str:
        """A constant of one sample, repeated for as many samples as an activation beside it has."""
        count = f"{beside}:samples"
        if beside not in self._counted:
            self._counted.add(beside)
            sizes = self.add("Shape", [beside], f"{beside}:sizes")
            self.add("Gather", [sizes, self.integers([0], count)], count)
        stored = self.constant(values[None], output)
        shape = self.add("Concat", [count, self.integers(values.shape, output)], f"{stored}:shape", axis=0)
        return self.add("Expand", [stored, shape], f"{stored}:all")

    def pruned(self, ends: Collection[str]) -> None:
        """Drop nodes and constants that no output needs."""
        needed, kept = set(ends), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
        self.nodes = kept[::-1]
        self.constants = {name: c for name, c in self.constants.items() if name in needed}

    def lined_up(self, name: str, own: Placed, wanted: Placed, result: Placed, output: str) -> str:
        """An input of an elementwise node.

        Args:
            own: the tensor as it is.
            wanted: the same with as many axes as the result, its samples where those of the result are.
        """
        gone = None if result.batch is None or result.is_merged else result.batch
        shape: Shape = tuple(s for i, s in enumerate(wanted.shape) if i != gone)
        if wanted.is_known:
            reaches_samples = gone is not None and len(own.shape) >= len(result.shape) - gone
            if not reaches_samples and wanted.batch is None:
                return self.operand(name, own, output)
            return self.constant(wanted.first_sample.reshape(shape), output)
        inner = own.sample_shape
        if shape == inner or (not self.shift and shape == (1,) * (len(shape) - len(inner)) + inner):
            return name
        return self.reshaped(name, shape, f"{output}:input{len(self.nodes)}")
