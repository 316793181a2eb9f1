"""Nodes of one kind, written anew with the batch first."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np
import onnx
from onnx import helper

from sim_compress.frontend.straightening.axes import STRAIGHT, CrookedError, Layout
from sim_compress.frontend.straightening.stretch import Stretch

ALIKE = frozenset(
    {"Abs", "Add", "Cast", "Clip", "Div", "Dropout", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish"}
    | {"Identity", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "Pow", "Reciprocal", "Relu"}
    | {"Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "Where"}
)
REDUCTIONS = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceL2"})


Rewritten = tuple[list[onnx.NodeProto], Layout]
Rule = Callable[[Stretch, onnx.NodeProto, Layout], Rewritten]


def _positive(axes: Sequence[int], rank: int) -> list[int]:
    return [a % rank for a in axes]


def _transpose(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    order = work.numbers(node, "perm", 1) or list(reversed(range(work.rank(node))))
    place = order.index(layout.batch)
    if layout == STRAIGHT and place == 0:
        return [node], layout
    if layout.steps and place:
        raise CrookedError
    straight = [0, *([1] if layout.steps else []), *layout.axes([a for a in order if a != layout.batch])]
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("perm", straight))
    return [node], Layout(place, layout.steps)


def _reshape(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    target, dims = work.numbers(node, "shape", 1), work.dims.get(node.input[0])
    if target is None or dims is None:
        raise CrookedError
    if layout.batch:
        return _reshape_behind(work, node, layout, target, dims)
    size = prod(dims[1:]) * max(layout.steps, 1)
    row = prod(target[1:])
    if layout == STRAIGHT and (target[0] == 0 or row in (0, size) or min(target[1:], default=1) < 1):
        return [node], layout
    if not row or size % row or min(target[1:], default=1) < 1:
        raise CrookedError
    steps = size // row if row != size else 0
    if layout.steps and steps not in (0, layout.steps):
        raise CrookedError
    work.store(node, 1, np.array([0, *([steps] if steps else []), *target[1:]]))
    return [node], Layout(0, steps)


def _reshape_behind(
    work: Stretch, node: onnx.NodeProto, layout: Layout, target: list[int], dims: list[int]
) -> Rewritten:
    """A reshape of the axes behind a batch that is not first."""
    before = dims[: layout.batch]
    kept = [d if t == 0 else t for t, d in zip(target, before, strict=False)]
    if 0 in before or kept != before or len(target) <= layout.batch or 0 in target[layout.batch + 1 :]:
        raise CrookedError
    work.store(node, 1, np.array([0, *before, *target[layout.batch + 1 :]]))
    return [node], layout


def _alike(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    """A node whose inputs line up axis by axis, with its constants lined up anew."""
    activations = [n for n in node.input if n and n not in work.constants]
    if any(n not in work.layouts for n in activations):
        raise CrookedError
    rank = max(len(work.dims.get(n, ())) for n in activations)
    for position, name in enumerate(node.input):
        values = work.value(name)
        if values is None or values.size == 1:
            continue
        full = values.reshape((1,) * (rank - values.ndim) + values.shape)
        if full.ndim != rank or full.shape[layout.batch] != 1:
            raise CrookedError
        work.store(node, position, full[:, None] if layout.steps else np.moveaxis(full, layout.batch, 0))
    return [node], layout


def _along(name: str, position: int) -> Rule:
    """A node with axes that stay."""

    def rule(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
        axes = work.numbers(node, name, position)
        if axes is None:
            raise CrookedError
        work.renumber(node, name, position, layout.axes(_positive(axes, work.rank(node))))
        return [node], layout

    return rule


def _slice(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    if work.numbers(node, "axes", 3) is None:
        starts = work.numbers(node, "starts", 1) or []
        work.renumber(node, "axes", 3, range(len(starts)))
    return _along("axes", 3)(work, node, layout)


def _pad(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    pads, rank = work.numbers(node, "pads", 1), work.rank(node)
    if pads is None or len(pads) != 2 * rank or len(node.input) > 3:
        raise CrookedError
    sides = np.array(pads).reshape(2, rank)
    if sides[:, layout.batch].any():
        raise CrookedError
    # Merged steps get a place behind the batch, which is padded no more than they are.
    ends = np.delete(sides, layout.batch, axis=1)
    straight = np.hstack([np.zeros((2, 2 if layout.steps else 1), int), ends])
    work.renumber(node, "pads", 1, [int(p) for p in straight.ravel()])
    return [node], layout


def _softmax(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    rank = work.rank(node)
    (axis,) = _positive(work.numbers(node, "axis", 9) or [-1 if work.opset > 12 else 1], rank)
    # Up to operator set 12 all axes from this one on are taken, so it must be the last.
    if work.opset <= 12 and (axis != rank - 1 or layout.batch == axis):
        raise CrookedError
    return _with_attribute(node, "axis", layout.axis(axis)), layout


def _with_attribute(node: onnx.NodeProto, name: str, value: int) -> list[onnx.NodeProto]:
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
    return [node]


def _layer_normalization(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    (axis,) = _positive(work.numbers(node, "axis", 9) or [-1], work.rank(node))
    if axis <= layout.batch:
        raise CrookedError
    return _with_attribute(node, "axis", layout.axis(axis)), layout


def _squeeze(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    axes = work.numbers(node, "axes", 1)
    if axes is None:
        raise CrookedError
    gone = _positive(axes, work.rank(node))
    work.renumber(node, "axes", 1, layout.axes(gone))
    return [node], layout.without(gone)


def _unsqueeze(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    axes = work.numbers(node, "axes", 1)
    if axes is None:
        raise CrookedError
    new = _positive(axes, work.rank(node) + len(axes))
    after = layout.with_new(new)
    work.renumber(node, "axes", 1, after.axes(new))
    return [node], after


def _gather(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    places = work.value(node.input[1])
    if places is None or places.ndim > 1:
        raise CrookedError
    (axis,) = _positive(work.numbers(node, "axis", 9) or [0], work.rank(node))
    nodes = _with_attribute(node, "axis", layout.axis(axis))
    return nodes, layout if places.ndim else layout.without([axis])


def _reduce(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    axes = work.numbers(node, "axes", 1)
    if axes is None:
        raise CrookedError
    gone = _positive(axes, work.rank(node))
    work.renumber(node, "axes", 1, layout.axes(gone))
    keeps = (work.numbers(node, "keepdims", 9) or [1])[0]
    return [node], layout if keeps == 1 else layout.without(gone)


def _concat(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    if any(n not in work.layouts for n in node.input):
        raise CrookedError
    return _along("axis", 9)(work, node, layout)


def _matmul(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    """A product on the last axis, or of matrices that lie behind the batch on both sides."""
    ranks = [len(work.dims.get(n, ())) for n in node.input if n in work.layouts]
    right = work.value(node.input[1])
    if right is not None and right.ndim == 2 and layout.batch < ranks[0] - 1:
        return [node], layout
    if len(ranks) == 2 and ranks[0] == ranks[1] and layout.batch < ranks[0] - 2:
        return [node], layout
    raise CrookedError


def _gemm(work: Stretch, node: onnx.NodeProto, layout: Layout) -> Rewritten:
    """A product with a constant matrix, as a MatMul and an Add, which take any number of axes."""
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    weight = work.value(node.input[1])
    shift = work.value(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1, np.float32)
    if not layout.steps or settings.get("transA") or weight is None or shift is None or shift.ndim > 1:
        raise CrookedError
    weight = (weight.T if settings.get("transB") else weight) * np.float32(settings.get("alpha", 1.0))
    product = f"{node.output[0]}:product"
    matmul = helper.make_node("MatMul", [node.input[0], ""], [product], node.name)
    add = helper.make_node("Add", [product, ""], node.output)
    work.store(matmul, 1, weight)
    work.store(add, 1, shift * np.float32(settings.get("beta", 1.0)))
    return [matmul, add], layout


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ALIKE, _alike),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Slice": _slice,
    "Pad": _pad,
    "Split": _along("axis", 9),
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Gather": _gather,
    "LayerNormalization": _layer_normalization,
    "MatMul": _matmul,
    "Gemm": _gemm,
}
