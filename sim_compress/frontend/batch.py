"""The batch axis: every activation's first axis, made symbolic wherever the file fixed it."""

import numpy as np
import onnx

from sim_compress.errors import UnsupportedError
from sim_compress.frontend.freeing import Fixed, free
from sim_compress.frontend.quiet import RUNTIME_ERRORS, first_line, open_session

SYMBOL = "N"
# Stands for the batch while shape arithmetic is folded; a prime, since feature axes are often powers of two.
STAND_IN = 11
# The cleaned graph's fused operators round differently from the file's own.
REBATCH_TOLERANCE = 1e-3
DEPENDS = "the network's result depends on its batch size; export it with a dynamic batch axis"


def check_inputs(model: onnx.ModelProto) -> None:
    """UnsupportedError unless every input is float32 with a first axis and fixed axes behind it."""
    for value in model.graph.input:
        kind = value.type.tensor_type
        if kind.elem_type != onnx.TensorProto.FLOAT:
            name = onnx.TensorProto.DataType.Name(kind.elem_type) if kind.elem_type else "no tensor"
            raise UnsupportedError(
                f"input {value.name!r}: expected float32, got {name}; export the network with float32 inputs"
            )
        if not kind.HasField("shape") or not kind.shape.dim:
            raise UnsupportedError(
                f"input {value.name!r}: expected a batch axis and feature axes, got a scalar or no shape"
            )
        open_axes = [i for i, d in enumerate(kind.shape.dim) if i and d.dim_value <= 0]
        if open_axes:
            raise UnsupportedError(
                f"input {value.name!r}: axis {open_axes[0]} has no fixed size; "
                "export the network with a dynamic batch axis only"
            )


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


def check_rebatched(original: onnx.ModelProto, cleaned: onnx.ModelProto, size: int | None) -> None:
    """UnsupportedError unless the freed graph gives for a batch what the file gives in batches of its own."""
    samples = 2 * (size or 1)
    rng = np.random.default_rng(0)
    feeds = {
        v.name: rng.random((samples, *(d.dim_value for d in v.type.tensor_type.shape.dim[1:])), np.float32)
        for v in cleaned.graph.input
    }
    try:
        expected = _outputs(original, feeds, size or samples)
        got = _outputs(cleaned, feeds, samples)
    except RUNTIME_ERRORS as error:
        raise UnsupportedError(f"{DEPENDS}; onnxruntime says: {first_line(error)}") from error
    for wanted, found in zip(expected, got, strict=True):
        scale = REBATCH_TOLERANCE * max(1.0, float(np.abs(wanted).max(initial=0)))
        if wanted.shape != found.shape or not np.allclose(wanted, found, 0, scale, equal_nan=True):
            raise UnsupportedError(DEPENDS)


def _outputs(model: onnx.ModelProto, feeds: dict[str, np.ndarray], step: int) -> list[np.ndarray]:
    """Outputs of the whole feed, computed in batches of `step`."""
    session = open_session(model)
    samples = len(next(iter(feeds.values())))
    parts = [
        session.run(None, {n: u[i : i + step] for n, u in feeds.items()}) for i in range(0, samples, step)
    ]
    return [np.concatenate(p) for p in zip(*parts, strict=True)]
