"""Reductions: axes leave, or stay with size 1."""

from collections.abc import Callable
from math import prod

import numpy as np

from sim_compress.frontend.axes.numbers import Unknown, objects, unknowns
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.rules.elementwise import MOST_NUMBERS
from sim_compress.frontend.axes.step import Outcome, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.nodes import axes_are_input
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model.maps import Array


def reduces(step: Step) -> Outcome:
    """Several axes, an attribute or an input; all of them where none are named."""
    x = step.input(0)
    named = step.integers("axes", 1)
    if not named:
        if step.attribute("noop_with_empty_axes", 0):
            return _reduced(step, [])
        named = list(range(len(x.shape)))
    return _reduced(step, sorted({positive(a, len(x.shape)) for a in named}))


def picks_place(step: Step) -> Outcome:
    """One axis, an attribute, of which the place of an entry is given (ArgMax)."""
    x = step.input(0)
    axis = step.axis("axis", 0)
    found = _reduced(step, [axis])
    (result,) = found.outputs
    if prod(result.shape) <= MOST_NUMBERS and not x.is_constant:
        # A place of the axis, which the data decide.
        place = Unknown(False, 0, 0, x.shape[axis] - 1)
        result = result.valued(unknowns(result.shape, place))

    def write(writer: Writer) -> None:
        name = writer.operand(step.node.input[0], x, step.output)
        writer.copy(step.node, [name], axis=writer.axis(x.sample_axis(axis)))

    return Outcome((result,), write, (0,))


def _reduced(step: Step, axes: list[int]) -> Outcome:
    x = step.input(0)
    if x.batch in axes:
        if len(axes) == len(x.shape):
            raise RefusalError(f"reduces all axes of {x}, the batch axis too")
        step.none_of(axes)
    # onnxruntime takes any number but 1 for no.
    keeps = step.attribute("keepdims", 1) == 1
    shape = tuple(1 if i in axes else s for i, s in enumerate(x.shape) if keeps or i not in axes)
    batch = x.batch if x.batch is None or keeps else x.batch - sum(a < x.batch for a in axes)
    result = Placed(shape, batch, x.before, _total(step.node.op_type, x, axes, shape))
    return Outcome((result,), _writing(step, axes), (0,))


def _total(operator: str, x: Placed, axes: list[int], shape: tuple[int, ...]) -> Array | None:
    value = x.value
    if value is None or operator not in ("ReduceSum", "ReduceProd") or not axes:
        return None
    combine = np.add if operator == "ReduceSum" else np.multiply
    found = objects(value)
    for axis in reversed(axes):
        found = combine.reduce(found, axis=axis, keepdims=True)
    return np.asarray(found, object).reshape(shape)


def _writing(step: Step, axes: list[int]) -> Callable[[Writer], None]:
    x, kind = step.input(0), step.node.op_type
    as_input = axes_are_input(kind, step.opset)

    def write(writer: Writer) -> None:
        name = writer.operand(step.node.input[0], x, step.output)
        moved = writer.axes([x.sample_axis(a) for a in axes])
        if not moved:
            writer.add("Identity", [name], step.output, step.node.name)
        elif as_input:
            writer.copy(step.node, [name, writer.integers(moved, step.output)], axes=None)
        else:
            writer.copy(step.node, [name], axes=moved)

    return write
