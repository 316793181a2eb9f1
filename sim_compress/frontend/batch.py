"""The batch axis: every activation's first axis, made symbolic wherever the file fixed it."""

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import helper

from sim_compress.errors import InputError, UnsupportedError
from sim_compress.frontend.freeing import Fixed, free
from sim_compress.frontend.quiet import RUNTIME_ERRORS, first_line, open_session
from sim_compress.model import Shape

SYMBOL = "N"
_TYPES = onnx.TensorProto
# What an input may hold; half and double precision are float32 by now.
NUMBERS = frozenset(
    {_TYPES.FLOAT, _TYPES.BOOL, _TYPES.INT8, _TYPES.INT16, _TYPES.INT32, _TYPES.INT64}
    | {_TYPES.UINT8, _TYPES.UINT16, _TYPES.UINT32, _TYPES.UINT64}
)
# Stands for the batch while shape arithmetic is folded; a prime, since feature axes are often powers of two.
STAND_IN = 11
# The cleaned graph's fused operators round differently from the file's own.
REBATCH_TOLERANCE = 1e-3
# Samples that tell whether a new batch axis keeps them apart.
PROBES = 3
DEPENDS = "the network's result depends on its batch size; export it with a dynamic batch axis"


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


def check_axes(model: onnx.ModelProto) -> None:
    """UnsupportedError unless every input has a first axis and fixed axes behind it."""
    for value in model.graph.input:
        kind = value.type.tensor_type
        if not kind.HasField("shape") or not kind.shape.dim:
            raise UnsupportedError(
                f"input {value.name!r}: expected a batch axis and feature axes, got a scalar or no shape"
            )
        open_axes = [i for i, d in enumerate(kind.shape.dim) if i and d.dim_value <= 0]
        if open_axes:
            raise UnsupportedError(
                f"input {value.name!r}: axis {open_axes[0]} has no fixed size; fix it with "
                f"--input-shape {value.name}={_sizes(kind.shape.dim)} (input_shapes in Python), a number for "
                "each question mark"
            )


def _sizes(dims: Iterable[onnx.TensorShapeProto.Dimension]) -> str:
    """Axes as an option has them: 1x3x?x?."""
    return "x".join(
        str(d.dim_value) if i and d.dim_value > 0 else "?" if i else "1" for i, d in enumerate(dims)
    )


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
            dim.dim_value = size
    # What was inferred for open sizes may not hold for fixed ones.
    del copy.graph.value_info[:]
    for output in copy.graph.output:
        output.type.tensor_type.ClearField("shape")
    return copy


def with_all_axes(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> onnx.ModelProto | None:
    """A copy in which the first axes are fixed too, as in the file or as given; None where one is open."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.input:
        kind = value.type.tensor_type
        given = shapes.get(value.name) or (shapes.get("") if len(copy.graph.input) == 1 else None)
        if kind.shape.dim and kind.shape.dim[0].dim_value <= 0 and given:
            kind.shape.dim[0].dim_value = given[0]
        if not kind.HasField("shape") or any(d.dim_value <= 0 for d in kind.shape.dim):
            return None
    return copy


def batch_size(model: onnx.ModelProto) -> int | None:
    """The batch size the file fixes, None where it is dynamic.

    Raises:
        UnsupportedError: inputs differ in their first axis.
    """
    first = {v.name: v.type.tensor_type.shape.dim[0].dim_value for v in model.graph.input}
    # Some exporters write -1 for a dynamic axis.
    sizes = {name: size if size > 0 else None for name, size in first.items()}
    if len(set(sizes.values())) > 1:
        raise UnsupportedError(
            f"the first axis of every input must be the batch, got {sizes}; export with a dynamic batch axis"
        )
    return next(iter(sizes.values()))


def with_batch(model: onnx.ModelProto, size: int | str) -> onnx.ModelProto:
    """A copy with the first axis of every input and output set to a size or a symbol."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in (*copy.graph.input, *copy.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims:
            dims[0].Clear()
            if isinstance(size, str):
                dims[0].dim_param = size
            else:
                dims[0].dim_value = size
    return copy


def freed(model: onnx.ModelProto, size: int) -> onnx.ModelProto:
    """A copy of a graph of fixed batch whose batch is symbolic, in the constants of its nodes too."""
    copy = with_batch(model, SYMBOL)
    shapes = {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in (*model.graph.input, *model.graph.value_info, *model.graph.output)
    }
    fixed = Fixed(size, {i.name: i for i in copy.graph.initializer}, shapes)
    for node in copy.graph.node:
        copy.graph.initializer.extend(free(node, fixed))
    return copy


def check_sample_axis(original: onnx.ModelProto, batched: onnx.ModelProto) -> None:
    """UnsupportedError unless a graph with a new first axis gives for each sample what the file gives."""
    rng = np.random.default_rng(0)
    feeds = {v.name: _random(rng, v, PROBES) for v in batched.graph.input}
    one = open_session(original)
    try:
        several = [one.run(None, {n: np.asarray(u[i]) for n, u in feeds.items()}) for i in range(PROBES)]
        got = _outputs(batched, feeds, PROBES)
    except RUNTIME_ERRORS as error:
        raise UnsupportedError(f"{DEPENDS}; onnxruntime says: {first_line(error)}") from error
    _compare([np.stack(parts) for parts in zip(*several, strict=True)], got)


def check_rebatched(original: onnx.ModelProto, cleaned: onnx.ModelProto, size: int | None) -> None:
    """UnsupportedError unless the freed graph gives for a batch what the file gives in batches of its own."""
    samples = 2 * (size or 1)
    rng = np.random.default_rng(0)
    feeds = {v.name: _random(rng, v, samples) for v in cleaned.graph.input}
    try:
        expected = _outputs(original, feeds, size or samples)
        got = _outputs(cleaned, feeds, samples)
    except RUNTIME_ERRORS as error:
        raise UnsupportedError(f"{DEPENDS}; onnxruntime says: {first_line(error)}") from error
    _compare(expected, got)


def _compare(expected: Iterable[np.ndarray], got: Iterable[np.ndarray]) -> None:
    for wanted, found in zip(expected, got, strict=True):
        sizes = np.abs(wanted[np.isfinite(wanted)])
        scale = REBATCH_TOLERANCE * max(1.0, float(sizes.max(initial=0)))
        if wanted.shape != found.shape or not np.allclose(wanted, found, 0, scale, equal_nan=True):
            raise UnsupportedError(DEPENDS)


def _random(rng: np.random.Generator, value: onnx.ValueInfoProto, samples: int) -> np.ndarray:
    """Numbers for one input: in 0..1, whole numbers and truth values 0 or 1, which any table has rows for."""
    kind = value.type.tensor_type
    shape = (samples, *(d.dim_value for d in kind.shape.dim[1:]))
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    return rng.random(shape, np.float32) if dtype.kind == "f" else rng.integers(0, 2, shape).astype(dtype)


def _outputs(model: onnx.ModelProto, feeds: dict[str, np.ndarray], step: int) -> list[np.ndarray]:
    """Outputs of the whole feed, computed in batches of `step`."""
    session = open_session(model)
    samples = len(next(iter(feeds.values())))
    parts = [
        session.run(None, {n: u[i : i + step] for n, u in feeds.items()}) for i in range(0, samples, step)
    ]
    return [np.concatenate(p) for p in zip(*parts, strict=True)]
