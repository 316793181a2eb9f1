"""Operators that work along axes which stay: softmax and its kin, normalisations, running sums, sorting."""

from collections.abc import Callable

import numpy as np

from sim_compress.frontend.axes.numbers import Number
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import Outcome, Rule, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError

# Softmax and its kin took all axes from one on as one, up to this operator set.
FLAT_SOFTMAX = 12


def along(default: int = -1) -> Rule:
    """One axis, an attribute; further inputs are settings or scales of one axis."""

    def rule(step: Step) -> Outcome:
        axis = step.axis("axis", default)
        step.none_of([axis])
        return _same_shape(step, axis)

    return rule


def softmax(step: Step) -> Outcome:
    """One axis; in older operator sets all axes from one on."""
    x = step.input(0)
    if step.opset > FLAT_SOFTMAX:
        axis = step.axis("axis", -1)
        step.none_of([axis])
    else:
        axis = step.axis("axis", 1)
        step.none_of(range(axis, len(x.shape)))
    return _same_shape(step, axis)


def from_axis(step: Step) -> Outcome:
    """All axes from one on, with scale and shift of those axes (layer normalisation)."""
    x = step.input(0)
    axis = step.axis("axis", -1)
    step.none_of(range(axis, len(x.shape)))
    kept = x.with_shape((*x.shape[:axis], *(1,) * (len(x.shape) - axis)), x.batch)
    return Outcome((x.valued(None), kept, kept)[: len(step.node.output)], _writing(step, axis))


def _same_shape(step: Step, axis: int) -> Outcome:
    return Outcome((step.input(0).valued(None),) * len(step.node.output), _writing(step, axis))


def _writing(step: Step, axis: int) -> Callable[[Writer], None]:
    def write(writer: Writer) -> None:
        names = [
            writer.operand(n, step.input(i), step.output) if step.has(i) else n
            for i, n in enumerate(step.node.input)
        ]
        writer.copy(step.node, names, axis=writer.axis(step.input(0).sample_axis(axis)))

    return write


def running_sum(step: Step) -> Outcome:
    """CumSum, whose axis is an input."""
    x = step.input(0)
    axis = positive((step.integers("axis", 1) or [0])[0], len(x.shape))
    step.none_of([axis])
    plain = not step.attribute("exclusive", 0) and not step.attribute("reverse", 0)
    value = x.value if x.is_known and plain else None
    numbers = None if value is None else np.add.accumulate(value, axis)

    def write(writer: Writer) -> None:
        place = writer.constant(np.asarray(writer.axis(x.sample_axis(axis)), np.int64), step.output)
        writer.copy(step.node, [writer.operand(step.node.input[0], x, step.output), place])

    return Outcome((x.valued(numbers),), write, (0,))


def several_axes(default: tuple[int, ...]) -> Rule:
    """A list of axes, an attribute, all of which stay (mean and variance normalisation)."""

    def rule(step: Step) -> Outcome:
        x = step.input(0)
        axes = [positive(a, len(x.shape)) for a in step.attribute("axes", default)]
        step.none_of([a for a in axes if a != x.batch or x.is_merged or default != tuple(axes)])
        if x.batch in axes:
            raise RefusalError(f"normalises over the samples of {x}")

        def write(writer: Writer) -> None:
            name = writer.operand(step.node.input[0], x, step.output)
            writer.copy(step.node, [name], axes=writer.axes([x.sample_axis(a) for a in axes]))

        return Outcome((x.valued(None),), write)

    return rule


def largest(step: Step) -> Outcome:
    """TopK: an axis of which as many entries stay as an input says."""
    x, axis = step.input(0), step.axis("axis", -1)
    step.none_of([axis])
    count: list[Number] = list(step.integers("k", 1) or [])
    if len(count) != 1:
        raise RefusalError("does not say how many entries it keeps")
    shape = (*x.shape[:axis], int(count[0]), *x.shape[axis + 1 :])  # pyright: ignore
    result = Placed(shape, x.batch, x.before)
    return Outcome((result,) * len(step.node.output), _writing(step, axis), (0,))


def triangle(step: Step) -> Outcome:
    """Trilu: a triangle of the last two axes."""
    x = step.input(0)
    rank = len(x.shape)
    if rank < 2:
        raise RefusalError(f"cuts a triangle out of {x}, which is no matrix")
    step.none_of([rank - 1, rank - 2])
    diagonal = (step.integers("k", 1) or [0])[0]
    cut = np.triu if step.attribute("upper", 1) else np.tril
    numbers = cut(x.value, diagonal) if x.is_constant and x.value is not None else None

    def write(writer: Writer) -> None:
        names = [writer.operand(n, step.input(i), step.output) for i, n in enumerate(step.node.input) if n]
        writer.copy(step.node, names)

    return Outcome((x.valued(numbers),), write, (0,))
