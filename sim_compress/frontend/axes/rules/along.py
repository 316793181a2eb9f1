"""Operators that work along axes which stay: softmax and its kin, normalisations, running sums, sorting."""

from collections.abc import Callable

import numpy as np

from sim_compress.frontend.axes.numbers import Number
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import Outcome, Rule, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError, TooLargeError

# Softmax and its kin took all axes from one on as one, up to this operator set.
FLAT_SOFTMAX = 12
EQUAL_FLOATS = 11
# Every pair of entries is compared.
LONGEST_SORTED = 1024


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
        step.none_of(axes)

        def write(writer: Writer) -> None:
            name = writer.operand(step.node.input[0], x, step.output)
            writer.copy(step.node, [name], axes=writer.axes([x.sample_axis(a) for a in axes]))

        return Outcome((x.valued(None),), write)

    return rule


def largest(step: Step) -> Outcome:
    """TopK: an axis of which as many entries stay as an input says."""
    x, axis = step.input(0), step.axis("axis", -1)
    if x.shape[axis] == 1 and (x.batch != axis or step.samples == 1):
        return _only(step, x)
    step.none_of([axis])
    count: list[Number] = list(step.integers("k", 1) or [])
    if len(count) != 1:
        raise RefusalError("does not say how many entries it keeps")
    kept = int(count[0])  # pyright: ignore
    result = Placed((*x.shape[:axis], kept, *x.shape[axis + 1 :]), x.batch, x.before)
    return Outcome((result, result), lambda writer: _write_largest(writer, step, x, axis, kept), (0,))


def _only(step: Step, x: Placed) -> Outcome:
    """The largest of one entry is that entry, as where the samples of a batch of one are put in order."""

    def write(writer: Writer) -> None:
        writer.add("Identity", [writer.operand(step.node.input[0], x, step.output)], step.output)

    return Outcome((x, x.valued(np.zeros(x.shape, np.int64))), write, (0,))


def _write_largest(writer: Writer, step: Step, x: Placed, axis: int, kept: int) -> None:
    """The entries that as many others stand before as their place in the result says.

    j stands before i where x_j > x_i, or where they are equal and j < i. One product with the rows of
    [place of i = r] gives the r-th largest entry, another one its number.
    """
    output, shape = step.output, x.sample_shape
    place, size = x.sample_axis(axis), x.shape[axis]
    if size > LONGEST_SORTED:
        raise TooLargeError(f"sorts an axis of {size}; at most {LONGEST_SORTED} entries are supported")
    order = [*(a for a in range(len(shape)) if a != place), place]
    lead = tuple(shape[a] for a in order[:-1])
    last = step.node.input[0]
    if order != sorted(order):
        turned = [0] * writer.shift + writer.axes(order)
        last = writer.add("Transpose", [last], f"{output}:turned", perm=turned)
    column = writer.reshaped(last, (*lead, size, 1), f"{output}:column")
    row = writer.reshaped(last, (*lead, 1, size), f"{output}:row")
    kind = "Greater" if step.attribute("largest", 1) else "Less"
    beyond = writer.add("Cast", [writer.add(kind, [row, column], f"{output}:beyond")], f"{output}:more", to=1)
    same = writer.add("Cast", [_equal(writer, step, row, column, f"{output}:equal")], f"{output}:same", to=1)
    earlier = writer.constant(np.tri(size, k=-1, dtype=np.float32), output)
    ties = writer.add("Mul", [same, earlier], f"{output}:ties")
    before = writer.add("Add", [beyond, ties], f"{output}:before")
    ones = writer.constant(np.ones((size, 1), np.float32), output)
    ranks = writer.add("MatMul", [before, ones], f"{output}:ranks")
    across = writer.reshaped(ranks, (*lead, 1, size), f"{output}:places")
    wanted = writer.constant(np.arange(kept, dtype=np.float32)[:, None], output)
    at = _equal(writer, step, across, wanted, f"{output}:at")
    chosen = writer.add("Cast", [at], f"{output}:chosen", to=1)
    every = writer.constant(np.arange(size, dtype=np.float32)[:, None], output)
    back = [order.index(a) for a in range(len(order))]
    for name, values in zip(step.node.output, (column, every), strict=False):
        if name:
            found = writer.add("MatMul", [chosen, values], f"{name}:found")
            sorted_ = writer.reshaped(found, (*lead, kept), f"{name}:sorted")
            result = f"{name}:result"
            writer.add("Transpose", [sorted_], result, perm=[0] * writer.shift + writer.axes(back))
            if name == step.output:
                writer.add("Identity", [result], name)
            else:
                writer.add("Cast", [result], name, to=7)


def _equal(writer: Writer, step: Step, one: str, other: str, output: str) -> str:
    """Whether floats are equal, which older operator sets say of whole numbers alone."""
    if step.opset >= EQUAL_FLOATS:
        return writer.add("Equal", [one, other], output)
    more, less = (writer.add(k, [one, other], f"{output}:{k}") for k in ("Greater", "Less"))
    return writer.add("Not", [writer.add("Or", [more, less], f"{output}:differ")], output)


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
