"""What a session takes and gives, described as onnxruntime does."""

from dataclasses import dataclass

from sim_compress.model import Input, Output

# Names of element types in ONNX where they differ from numpy's.
ONNX_NAMES = {"float32": "float", "float64": "double"}


@dataclass(frozen=True)
class NodeArg:
    """One input or output.

    Attributes:
        shape: sizes, the number of samples by name.
        type: element type, for example tensor(float).
    """

    name: str
    shape: tuple[int | str, ...]
    type: str


def node_arg(value: Input | Output) -> NodeArg:
    """The description of an input or output of a model."""
    dtype = value.dtype if isinstance(value, Input) else "float32"
    return NodeArg(value.name, ("samples", *value.shape), f"tensor({ONNX_NAMES.get(dtype, dtype)})")
