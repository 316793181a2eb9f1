"""The registry of operators, and what a handler is given and gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from sim_compress.activations import Activation
from sim_compress.frontend import nodes
from sim_compress.frontend.axes.step import Rule
from sim_compress.frontend.refusal import RefusalError
from sim_compress.frontend.terms.rows import side_by_side
from sim_compress.model import Affine, LinearMap
from sim_compress.model.maps import Array

FLOATS = (
    onnx.TensorProto.UNDEFINED,
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
)


@dataclass(frozen=True, eq=False)
class Activated:
    """The result of a nonlinear node.

    Attributes:
        affine: the pre-activation; with parameters only where it is an input of the node as it stands.
        phi: gives the state.
        maps: give the node's output from the state.
    """

    affine: Affine
    phi: Activation
    maps: tuple[LinearMap, ...] = ()


Result = Affine | Activated | tuple[Affine, ...]


@dataclass(frozen=True, eq=False)
class Call:
    """One node as its handler sees it: inputs by position, settings by name.

    Attributes:
        values: tensor name -> expression, or array where the tensor is a constant of the file.
        types: tensor name -> ONNX element type, as far as known.
        opset: version of the standard operator set.
        materialise: makes the named tensor a block with phi = identity and gives the reference to it.
    """

    node: onnx.NodeProto
    values: Mapping[str, Affine | Array]
    materialise: Callable[[str], Affine]
    types: Mapping[str, int]
    opset: int

    @property
    def positions(self) -> range:
        """Positions of the inputs that are present."""
        return range(len(self.node.input))

    def has(self, position: int) -> bool:
        """Whether an optional input is present."""
        return position < len(self.node.input) and self.node.input[position] != ""

    @property
    def keeps_axes(self) -> bool:
        """Whether reduced axes stay with size 1; onnxruntime takes any number but 1 for no."""
        return self.attribute("keepdims", 1) == 1

    def is_constant(self, position: int) -> bool:
        return isinstance(self.values[self.node.input[position]], np.ndarray)

    def is_float(self, position: int) -> bool:
        """Whether an input holds floats, not whole numbers or truth values; unknown types are floats."""
        return self.types.get(self.node.input[position], onnx.TensorProto.FLOAT) in FLOATS

    def affine(self, position: int) -> Affine:
        """The input's expression as it is."""
        value = self.values[self.node.input[position]]
        if not isinstance(value, Affine):
            raise RefusalError(f"its input {position} is a constant, where an activation is expected")
        return value

    def unweighted(self, position: int) -> Affine:
        """The input's expression, materialised first where it holds parameters."""
        value = self.affine(position)
        return self.materialise(self.node.input[position]) if value.weighted else value

    def unweighted_or_constant(self, position: int) -> Affine | Array:
        """An activation as `unweighted`, or a constant of the file."""
        return self.constant(position) if self.is_constant(position) else self.unweighted(position)

    def single(self, position: int) -> Affine:
        """The input's expression as one rearranged source, materialised first where it is more."""
        value = self.unweighted(position)
        return self.materialise(self.node.input[position]) if len(value.terms) > 1 else value

    def joined(self, position: int, axis: int) -> Affine:
        """The input as one source, or as several side by side along an axis; else materialised first."""
        value = self.unweighted(position)
        parts = len(value.terms) == 1 or side_by_side(value, axis)
        return value if parts else self.materialise(self.node.input[position])

    def constant(self, position: int) -> Array:
        """A constant of the file."""
        value = self.values[self.node.input[position]]
        if not isinstance(value, np.ndarray):
            raise RefusalError(f"its input {position} is computed by the network, not a constant of the file")
        return value

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value: number, list of numbers or text."""
        return nodes.attribute(self.node, name, default)

    def setting(self, name: str, position: int) -> Array | None:
        """A setting that older operator sets keep as an attribute and newer ones as an input."""
        value = self.attribute(name)
        if value is not None:
            return np.asarray(value)
        return self.constant(position) if self.has(position) else None

    def numbers(self, name: str, position: int) -> tuple[int, ...] | None:
        """A setting that is a list of integers."""
        value = self.setting(name, position)
        return None if value is None else tuple(int(v) for v in value.ravel())


@dataclass(frozen=True)
class Operator:
    """One supported ONNX operator; the texts make up docs/operators.md.

    Attributes:
        axes: what it does to the axes of its inputs.
        handler: lowers the node; None where the axis pass leaves none of the kind.
    """

    name: str
    family: str
    becomes: str
    limits: str
    axes: Rule
    handler: Callable[[Call], Result] | None


OPERATORS: dict[str, Operator] = {}


def operator(
    name: str, axes: Rule, *, becomes: str, limits: str = ""
) -> Callable[[Callable[[Call], Result]], Callable[[Call], Result]]:
    """Register the decorated handler for an ONNX operator type."""

    def register(handler: Callable[[Call], Result]) -> Callable[[Call], Result]:
        family = handler.__module__.rpartition(".")[2]
        OPERATORS[name] = Operator(name, family, becomes, limits, axes, handler)
        return handler

    return register


def rewritten(name: str, axes: Rule, family: str, *, becomes: str, limits: str = "") -> None:
    """Register an operator whose nodes the axis pass replaces by others, or by constants."""
    OPERATORS[name] = Operator(name, family, becomes, limits, axes, None)
