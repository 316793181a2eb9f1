"""The inputs of a network file: what they hold, their sizes, and which axis may hold the samples."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from sim_compress.errors import InputError, UnsupportedError
from sim_compress.frontend.axes.placed import Placed
from sim_compress.model import Shape

# Marks an axis that is asked to have no entries, as a cache of keys at the start of a text.
EMPTY = "empty"
_TYPES = onnx.TensorProto
# What an input may hold; half and double precision are float32 by now.
NUMBERS = frozenset(
    {_TYPES.FLOAT, _TYPES.BOOL, _TYPES.INT8, _TYPES.INT16, _TYPES.INT32, _TYPES.INT64}
    | {_TYPES.UINT8, _TYPES.UINT16, _TYPES.UINT32, _TYPES.UINT64}
)


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read a file: where the samples are in its inputs.

    Attributes:
        inputs: input name -> its place.
        samples: the batch that the file fixes, None where it is open.
        is_alone: whether the file leaves the batch open and is read one sample at a time.
    """

    inputs: Mapping[str, Placed]
    samples: int | None
    is_alone: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether no axis of the file holds samples, so that each of its runs is one sample."""
        return all(x.batch is None for x in self.inputs.values())


def readings(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> Iterator[Reading]:
    """The ways to read a file, the likeliest first.

    The open axis of an input holds the samples; where all axes are fixed, the first one; in the end none, so
    that each run of the file is one sample.

    Args:
        shapes: sizes that were asked for, which may fix an open batch where each run is one sample.

    Raises:
        UnsupportedError: an input has no axes, several open ones, or none beside inputs that have one.
    """
    inputs = {i.name: _axes(i) for i in model.graph.input}
    opened = {name: [a for a, size in enumerate(axes) if size < 0] for name, axes in inputs.items()}
    if any(opened.values()) and not all(opened.values()) and _are_asked(opened, shapes):
        # The axis that is open in some inputs alone holds no samples.
        whole = {n: _fixed(n, axes, shapes, len(inputs)) for n, axes in inputs.items()}
    elif any(opened.values()):
        _check_open(model, opened)
        places = {n: _placed(axes, opened[n][0]) for n, axes in inputs.items()}
        yield Reading(places, None)
        # Some exporters write a batch of one into a graph whose inputs they leave open.
        yield Reading(places, 1, is_alone=True)
        whole = {n: _fixed(n, axes, shapes, len(inputs)) for n, axes in inputs.items()}
    else:
        sizes = {axes[:1] for axes in inputs.values()}
        if len(sizes) == 1 and () not in sizes:
            yield Reading({n: _placed(axes, 0) for n, axes in inputs.items()}, sizes.pop()[0])
        whole = dict(inputs)
    if all(min(axes, default=1) > 0 for axes in whole.values()):
        yield Reading({n: Placed(tuple(axes)) for n, axes in whole.items()}, 1)


def _are_asked(opened: Mapping[str, Sequence[int]], shapes: Mapping[str, Shape]) -> bool:
    """Whether sizes were asked for of every input that has an open axis."""
    return all(name in shapes for name, axes in opened.items() if axes)


def _axes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        raise UnsupportedError(f"input {value.name!r}: expected a batch axis and feature axes, got no shape")
    return tuple(_size(d) for d in kind.shape.dim)


def _size(dim: onnx.TensorShapeProto.Dimension) -> int:
    """The size of an axis, -1 where it is open; some exporters write -1 or 0 for that themselves."""
    return dim.dim_value if dim.dim_value > 0 or dim.denotation == EMPTY else -1


def _check_open(model: onnx.ModelProto, opened: Mapping[str, Sequence[int]]) -> None:
    for value in model.graph.input:
        axes = opened[value.name]
        dims = value.type.tensor_type.shape.dim
        if len(axes) > 1:
            raise UnsupportedError(open_axis(value.name, axes[axes[0] == 0], dims))
        if not axes:
            sizes = {n: "open" if found else "fixed" for n, found in opened.items()}
            asked = [
                f"--input-shape {v.name}={'x'.join(_asked(d) for d in v.type.tensor_type.shape.dim)}"
                for v in model.graph.input
                if opened[v.name]
            ]
            raise UnsupportedError(
                f"input {value.name!r} has no open axis beside others that have one ({sizes}); export all "
                "inputs with a dynamic batch axis, or, where a run of the file is one sample, fix its sizes: "
                f"{' '.join(asked)} (input_shapes in Python), a number for each question mark"
            )


def open_axis(name: str, axis: int, dims: Iterable[onnx.TensorShapeProto.Dimension]) -> str:
    """What is said of an axis without a size that does not hold the samples."""
    return (
        f"input {name!r}: axis {axis} has no fixed size; fix it with --input-shape {name}={_sizes(dims)} "
        "(input_shapes in Python), a number for each question mark"
    )


def _placed(axes: Sequence[int], batch: int) -> Placed:
    shape = tuple(1 if a == batch else size for a, size in enumerate(axes))
    return Placed(shape, batch, numbers=None if all(shape) else np.zeros(shape, np.float32))


def _fixed(name: str, axes: Sequence[int], shapes: Mapping[str, Shape], inputs: int) -> tuple[int, ...]:
    """The axes with the sizes that were asked for in the place of open ones."""
    asked = shapes.get(name) or (shapes.get("") if inputs == 1 else None) or axes
    return tuple(size if size > 0 else wanted for size, wanted in zip(axes, asked, strict=True))


def check_types(model: onnx.ModelProto) -> None:
    """UnsupportedError unless every input holds numbers or truth values."""
    for value in model.graph.input:
        kind = value.type.tensor_type
        if kind.elem_type not in NUMBERS:
            name = onnx.TensorProto.DataType.Name(kind.elem_type) if kind.elem_type else "no tensor"
            raise UnsupportedError(
                f"input {value.name!r}: expected numbers or truth values, got {name}; cut the network behind "
                "what computes numbers from it (onnx.utils.extract_model)"
            )


def _asked(dim: onnx.TensorShapeProto.Dimension) -> str:
    return str(dim.dim_value) if dim.dim_value > 0 else "?"


def _sizes(dims: Iterable[onnx.TensorShapeProto.Dimension]) -> str:
    """Axes as an option has them: 1x3x?x?."""
    return "x".join(_asked(d) if i else "1" for i, d in enumerate(dims))


def with_shapes(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> onnx.ModelProto:
    """A copy whose inputs have the given sizes; the batch, their first axis, stays as the file has it.

    Raises:
        InputError: there is no such input, or a size is not the one that the file fixes.
    """
    if not shapes:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    inputs = {i.name: i.type.tensor_type for i in copy.graph.input}
    for given, sizes in shapes.items():
        # One input needs no name.
        name = next(iter(inputs)) if not given and len(inputs) == 1 else given
        if name not in inputs:
            raise InputError(f"input shape for {name!r}: the network has the inputs {', '.join(inputs)}")
        kind = inputs[name]
        dims = kind.shape.dim
        if not kind.HasField("shape"):
            dims.extend(onnx.TensorShapeProto.Dimension() for _ in sizes)
        fixed = [d.dim_value for d in dims]
        if len(sizes) != len(dims) or any(0 < f != s for f, s in zip(fixed[1:], sizes[1:], strict=False)):
            asked = "x".join(map(str, sizes))
            raise InputError(f"input {name!r}: the file has the axes {_sizes(dims)}, {asked} does not fit")
        for dim, size in list(zip(dims, sizes, strict=True))[1:]:
            dim.dim_value, dim.denotation = size, "" if size else EMPTY
    # What was inferred for open sizes may not hold for fixed ones.
    del copy.graph.value_info[:]
    for output in copy.graph.output:
        output.type.tensor_type.ClearField("shape")
    return copy
