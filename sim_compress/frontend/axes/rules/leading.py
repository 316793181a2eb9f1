"""Operators on (batch, channels, ...): convolutions, pooling, norms, resizing.

The samples are that batch, or stand in it beside steps that share the node, (N T, C, H, W). Then the steps
become one more spatial axis, of which a window takes one step at a time: (T, C, H, W) -> (C, T, H, W).
"""

from math import floor

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.frontend.axes.numbers import Number, Polynomial, sample_count
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import Outcome, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model import Shape

# Attributes of one number for each spatial axis, and what one more axis has.
SPATIAL = {"kernel_shape": 1, "strides": 1, "dilations": 1}
# From this operator set on a Resize names its axes.
RESIZE_AXES = 18
POOLING_OPSET = 22
INFERENCE_ERRORS = (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, TypeError)


def windows(step: Step) -> Outcome:
    """Convolutions and pooling."""
    x = step.input(0)
    unread = [name for name in step.node.output[1:] if name in step.read]
    if unread:
        raise RefusalError(f"its output {unread[0]!r} is read; only the first output is supported")
    steps = _steps(step)
    if steps == 1:
        return _as_it_is(step)
    shapes = _result_shapes(step)
    spatial = len(x.shape) - 2
    weight = step.input(1) if step.has(1) else None
    if step.node.op_type not in ("Conv", "MaxPool", "AveragePool") or step.attribute(
        "auto_pad", "NOTSET"
    ) not in (
        "NOTSET",
        "VALID",
    ):
        raise RefusalError(f"works on a batch of {steps} in each sample, {x}")

    def write(writer: Writer) -> None:
        attributes: dict[str, object] = {
            name: [one, *step.attribute(name)] for name, one in SPATIAL.items() if step.attribute(name)
        }
        pads = step.attribute("pads")
        if pads:
            attributes["pads"] = [0, *pads[:spatial], 0, *pads[spatial:]]
        turned = _turned(writer, step.node.input[0], x.sample_shape, f"{step.output}:steps")
        names = [turned]
        if weight is not None and weight.value is not None:
            names.append(writer.constant(np.expand_dims(weight.value, 2), step.output))
        names += [
            writer.operand(n, step.input(i + 2), step.output) for i, n in enumerate(step.node.input[2:])
        ]
        inner = f"{step.output}:result"
        kept = {
            a.name: helper.get_attribute_value(a) for a in step.node.attribute if a.name not in attributes
        }
        writer.add(step.node.op_type, names, inner, step.node.name, **{**kept, **attributes})
        _turned(writer, inner, (shapes[0][1], shapes[0][0], *shapes[0][2:]), step.output)

    return Outcome(tuple(Placed(s, x.batch, x.before) for s in shapes), write)


def _turned(writer: Writer, name: str, shape: Shape, output: str) -> str:
    """The first two axes of one sample in each other's place."""
    order = [1, 0, *range(2, len(shape))]
    return writer.add("Transpose", [name], output, perm=[0] * writer.shift + writer.axes(order))


def channels(step: Step) -> Outcome:
    """Operators that work channel by channel or on all of them, without windows."""
    steps = _steps(step)
    if steps == 1:
        return _as_it_is(step)
    x = step.input(0)
    if step.node.op_type != "BatchNormalization":
        raise RefusalError(f"works on a batch of {steps} in each sample, {x}")

    def write(writer: Writer) -> None:
        shape = x.sample_shape
        turned = _turned(writer, step.node.input[0], shape, f"{step.output}:steps")
        scales = [
            writer.operand(n, step.input(i + 1), step.output) for i, n in enumerate(step.node.input[1:])
        ]
        inner = f"{step.output}:result"
        kept = {a.name: helper.get_attribute_value(a) for a in step.node.attribute}
        writer.add("BatchNormalization", [turned, *scales], inner, step.node.name, **kept)
        _turned(writer, inner, (shape[1], shape[0], *shape[2:]), step.output)

    return Outcome((x.valued(None),), write)


def over_space(step: Step) -> Outcome:
    """Global pooling."""
    x, steps = step.input(0), _steps(step)
    if steps == 1:
        return _as_it_is(step)
    shape = (*x.shape[:2], *(1,) * (len(x.shape) - 2))
    kind = {"GlobalAveragePool": "ReduceMean", "GlobalMaxPool": "ReduceMax"}[step.node.op_type]

    def write(writer: Writer) -> None:
        axes = writer.axes(range(2, len(x.shape)))
        if step.opset < 18:
            writer.add(kind, [step.node.input[0]], step.output, step.node.name, axes=axes, keepdims=1)
        else:
            inputs = [step.node.input[0], writer.integers(axes, step.output)]
            writer.add(kind, inputs, step.output, step.node.name, keepdims=1)

    return Outcome((x.with_shape(shape, x.batch),), write)


def _steps(step: Step) -> int:
    """Entries of the first axis in one sample.

    Raises:
        RefusalError: the samples stand in another axis, or another input has any.
    """
    x = step.input(0)
    if len(x.shape) < 2:
        raise RefusalError(f"expects samples and channels, got {x}")
    if x.batch not in (0, None):
        raise RefusalError(f"takes axis 0 of {x} for the batch axis, which is axis {x.batch}")
    if any(step.has(i) and step.input(i).batch is not None for i in range(1, len(step.inputs))):
        raise RefusalError("has weights that are different for each sample")
    return x.shape[0]


def _as_it_is(step: Step) -> Outcome:
    """A node that works on each sample as it stands; a file without samples has one in its first axis."""
    x, names = step.input(0), step.node.input
    outputs = tuple(Placed(s, x.batch, x.before) for s in _result_shapes(step))

    def write(writer: Writer) -> None:
        settings = [
            writer.operand(n, step.input(i), step.output) if n else n for i, n in enumerate(names) if i
        ]
        if x.batch is not None:
            writer.copy(step.node, [names[0], *settings])
            return
        # The node's own batch of one goes, and comes back behind it.
        inner = writer.reshaped(names[0], x.shape[1:], f"{step.output}:one")
        kept = {a.name: helper.get_attribute_value(a) for a in step.node.attribute}
        kind, found = step.node.op_type, f"{step.output}:many"
        writer.add(kind, [inner, *settings], found, step.node.name, **kept)
        writer.reshaped(found, outputs[0].shape, step.output)

    return Outcome(outputs, write)


def _result_shapes(step: Step) -> list[Shape]:
    """What ONNX's own inference says of the outputs for one sample.

    Raises:
        RefusalError: the node does not fit its inputs.
    """
    types, values = {}, {}
    for i in step.present:
        x, name = step.input(i), step.node.input[i]
        kind = onnx.TensorProto.FLOAT
        if i and x.is_constant and x.value is not None and x.value.size <= 64:
            values[name] = numpy_helper.from_array(x.value, name)
            kind = values[name].data_type
        types[name] = helper.make_tensor_type_proto(kind, x.shape)
    # Older schemas count a last window that lies in the padding.
    opset = max(step.opset, POOLING_OPSET) if step.node.op_type.endswith("Pool") else step.opset
    try:
        schema = onnx.defs.get_schema(step.node.op_type, opset, "")
        found = onnx.shape_inference.infer_node_outputs(
            schema, step.node, types, values, opset_imports=[helper.make_opsetid("", opset)]
        )
    except INFERENCE_ERRORS as error:
        raise RefusalError(f"does not fit its inputs: {str(error).splitlines()[0]}") from error
    shapes = []
    for name in filter(None, step.node.output):
        kind = found.get(name)
        if kind is None or not kind.tensor_type.HasField("shape"):
            raise RefusalError(f"has an output {name!r} of unknown shape")
        shapes.append(tuple(d.dim_value for d in kind.tensor_type.shape.dim))
        if min(shapes[-1], default=1) < 1:
            raise RefusalError(f"gives a tensor of shape {shapes[-1]}")
    return shapes


def resize(step: Step) -> Outcome:
    """Axes of new sizes, by factors or by the sizes themselves; the samples' keeps its own."""
    x = step.input(0)
    if x.batch not in (0, None) or x.is_merged:
        raise RefusalError(f"takes axis 0 of {x} for the batch axis")
    by_scales = step.node.op_type == "Upsample" or len(step.inputs) == 2
    position = 1 if by_scales else 2
    scales = step.numbers("scales", position)
    sizes = None if scales else step.numbers("sizes", 3)
    axes = [positive(a, len(x.shape)) for a in step.attribute("axes") or range(len(x.shape))]
    asked = scales or sizes
    if asked is None or len(asked) != len(axes):
        raise RefusalError(f"names no size for each of the axes {axes} of {x}")
    if x.batch is not None and x.batch in axes:
        own = asked[axes.index(x.batch)]
        if not _keeps(own, x.shape[x.batch], step.samples, scales is not None):
            raise RefusalError(f"resizes axis {x.batch} of {x}, the batch axis")
    pairs = [(a, n) for a, n in zip(axes, asked, strict=True) if a != x.batch]
    if any(isinstance(n, Polynomial) for _, n in pairs):
        raise RefusalError("resizes an axis to the number of samples")
    wanted = {a: float(n) for a, n in pairs}  # pyright: ignore
    policy = step.attribute("keep_aspect_ratio_policy", "stretch")
    if sizes is not None and policy != "stretch":
        wanted = _keeping_ratio(x.shape, wanted, policy)
        scales, sizes = list(wanted.values()), None
    by_scale = {a: n if scales is not None else _scale(x.shape[a], int(n)) for a, n in wanted.items()}
    shape = tuple(
        s if a not in wanted else int(wanted[a]) if sizes is not None else floor(s * np.float32(wanted[a]))
        for a, s in enumerate(x.shape)
    )
    result = x.with_shape(shape, x.batch)
    kept = [a for a in range(len(x.shape)) if a != x.batch]

    def write(writer: Writer) -> None:
        factors = np.array([1.0] * writer.shift + [by_scale.get(a, 1.0) for a in kept], np.float32)
        name = writer.operand(step.node.input[0], x, step.output)
        if step.attribute("scales") is not None:
            writer.copy(step.node, [name], scales=factors.tolist())
            return
        given = writer.constant(factors, step.output)
        inputs = [name, given] if by_scales else [name, _region(writer, step), given]
        if sizes is not None and (step.opset >= RESIZE_AXES or not writer.shift):
            counts = writer.integers([int(n) for n in wanted.values()], step.output)
            moved = writer.axes([x.sample_axis(a) for a in wanted])
            writer.copy(step.node, [*inputs[:2], "", counts], axes=moved)
            return
        writer.copy(step.node, inputs, axes=None, keep_aspect_ratio_policy=None)

    return Outcome((result,), write, (0,))


def _region(writer: Writer, step: Step) -> str:
    return writer.operand(step.node.input[1], step.input(1), step.output) if step.has(1) else ""


def _keeps(asked: Number, size: int, samples: int | None, is_scale: bool) -> bool:
    if is_scale:
        return asked == 1
    return asked == sample_count(size) if isinstance(asked, Polynomial) else asked == size * (samples or 0)


def _scale(before: int, after: int) -> float:
    """The factor of a size, by which onnxruntime comes to the size itself."""
    scale = np.float32(after) / np.float32(before)
    return float(
        scale if int(scale * np.float32(before)) == after else np.nextafter(scale, np.float32(np.inf))
    )


def _keeping_ratio(shape: Shape, wanted: dict[int, float], policy: str) -> dict[int, float]:
    """The one factor that keeps the aspect ratio.

    Raises:
        RefusalError: it gives a size that has to be rounded.
    """
    pick = min if policy == "not_larger" else max
    scale = float(np.float32(pick(n / shape[a] for a, n in wanted.items())))
    if any(floor(shape[a] * scale) != floor(shape[a] * scale + 0.5) for a in wanted):
        raise RefusalError(f"rounds a size that keeps the aspect ratio ({policy})")
    return dict.fromkeys(wanted, scale)
