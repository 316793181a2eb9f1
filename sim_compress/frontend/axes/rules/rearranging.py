"""Operators that keep every entry: they regroup axes, permute them, add or drop those of size 1."""

from collections.abc import Callable, Sequence

from sim_compress.frontend.axes.numbers import Number, Polynomial
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.regrouping import full_sizes, places, regrouped, reshaped_constant
from sim_compress.frontend.axes.step import Outcome, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError


def reshape(step: Step) -> Outcome:
    """Any regrouping of axes."""
    target = step.numbers("shape", 1)
    if target is None:
        raise RefusalError("has no target")
    return _grouped(step, target, bool(step.attribute("allowzero", 0)))


def flatten(step: Step) -> Outcome:
    """Two axes in the place of all."""
    x = step.input(0)
    axis = step.attribute("axis", 1)
    axis = axis + len(x.shape) if axis < 0 else axis
    sizes = [
        s if step.samples is None or i != x.batch else x.shape[i] * step.samples
        for i, s in enumerate(x.sizes)
    ]
    return _grouped(step, [_product(sizes[:axis]), _product(sizes[axis:])], True)


def _product(sizes: Sequence[Number]) -> Number:
    total: Number = 1
    for size in sizes:
        total = total * size
    return total


def _grouped(step: Step, target: Sequence[Number], allow_zero: bool) -> Outcome:
    x = step.input(0)
    sizes = full_sizes(x, target, step.samples, allow_zero)
    if x.batch is None:
        result = reshaped_constant(x, sizes)
    else:
        result = regrouped(x, sizes, step.choose(places(x, sizes, step.samples)))
    return Outcome((result,), _writing(step, result), (0,))


def _writing(step: Step, result: Placed) -> Callable[[Writer], None]:
    """A Reshape to the shape of one sample, whatever the node was."""

    def write(writer: Writer) -> None:
        name = writer.operand(step.node.input[0], step.input(0), step.output)
        writer.reshaped(name, result.sample_shape, step.output, step.node.name)

    return write


def squeeze(step: Step) -> Outcome:
    """Axes of size 1 leave."""
    x = step.input(0)
    rank, axes = len(x.shape), step.integers("axes", 1)
    if axes is None:
        # A run of one sample alone drops the batch axis too, and nothing of the sample.
        gone = [i for i, s in enumerate(x.sizes) if not isinstance(s, Polynomial) and s == 1]
        if step.samples == 1:
            gone = [i for i, s in enumerate(x.shape) if s == 1]
    else:
        gone = [positive(a, rank) for a in axes]
    if any(x.shape[a] != 1 for a in gone):
        raise RefusalError(f"drops an axis of {x} that has more than one entry")
    kept = [i for i in range(rank) if i not in gone]
    if x.batch in gone:
        if step.samples != 1:
            raise RefusalError(f"drops axis {x.batch} of {x}, the batch axis")
        sizes = [x.shape[i] for i in kept]
        result = regrouped(x, sizes, step.choose(places(x, sizes, 1)))
    else:
        batch = None if x.batch is None else kept.index(x.batch)
        result = _reshaped(x, tuple(x.shape[i] for i in kept), batch)
    return Outcome((result,), _writing(step, result), (0,))


def unsqueeze(step: Step) -> Outcome:
    """New axes of size 1."""
    x, axes = step.input(0), step.integers("axes", 1) or []
    rank = len(x.shape) + len(axes)
    new = [positive(a, rank) for a in axes]
    if len(set(new)) < len(new):
        raise RefusalError(f"adds an axis twice: {axes}")
    old = [i for i in range(rank) if i not in new]
    sizes = dict(zip(old, x.shape, strict=True))
    batch = None if x.batch is None else old[x.batch]
    result = _reshaped(x, tuple(sizes.get(i, 1) for i in range(rank)), batch)
    return Outcome((result,), _writing(step, result), (0,))


def _reshaped(x: Placed, shape: tuple[int, ...], batch: int | None) -> Placed:
    value = x.value
    return Placed(shape, batch, x.before, None if value is None else value.reshape(shape))


def transpose(step: Step) -> Outcome:
    """Axes in another order."""
    x = step.input(0)
    rank = len(x.shape)
    order = [positive(a, rank) for a in step.attribute("perm") or range(rank - 1, -1, -1)]
    if sorted(order) != list(range(rank)):
        raise RefusalError(f"its order {order} is none of the axes of {x}")
    batch = None if x.batch is None else order.index(x.batch)
    value = x.value
    result = Placed(
        tuple(x.shape[a] for a in order), batch, x.before, None if value is None else value.transpose(order)
    )
    kept = [a for a in order if a != x.batch or x.is_merged]

    def write(writer: Writer) -> None:
        first = [0] * writer.shift
        perm = [*first, *writer.axes([x.sample_axis(a) for a in kept])]
        writer.copy(step.node, [writer.operand(step.node.input[0], x, step.output)], perm=perm)

    return Outcome((result,), write)


def identity(step: Step) -> Outcome:
    """Nothing changes; further outputs (a mask of kept entries) have the same shape."""
    x = step.input(0)

    def write(writer: Writer) -> None:
        names = [writer.operand(n, step.input(i), step.output) for i, n in enumerate(step.node.input) if n]
        writer.copy(step.node, names)

    return Outcome((x,) * len(step.node.output), write)


def reverse_sequence(step: Step) -> Outcome:
    """The first entries of an axis in the other order, as many as an input says."""
    x, lengths = step.input(0), step.input(1)
    axis = step.attribute("time_axis", 0)
    step.none_of([axis])
    counts = set(lengths.first_sample.ravel().tolist()) if lengths.is_constant else set[int]()
    if len(counts) != 1:
        raise RefusalError("turns round as many entries as data say, or another number in each sequence")
    count = int(counts.pop())
    places = [*range(count - 1, -1, -1), *range(count, x.shape[axis])]

    def write(writer: Writer) -> None:
        names = [step.node.input[0], writer.integers(places, step.output)]
        place = writer.axis(x.sample_axis(axis))
        writer.add("Gather", names, step.output, step.node.name, axis=place)

    value = x.value
    return Outcome((x.valued(None if value is None else value.take(places, axis)),), write, (0,))
