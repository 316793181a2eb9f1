"""Matrix products of stacks. Samples stand in axes of which each entry has a product of its own."""

from sim_compress.frontend.axes.alignment import aligned, divided_constant
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.rules.contraction import Labels, write_contraction
from sim_compress.frontend.axes.step import Outcome, Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model import Shape


def matmul(step: Step) -> Outcome:
    """Stacks of matrices, which broadcast; a vector is a matrix of one row or column."""
    left, right, result = product(step.input(0), step.input(1), step.samples)

    def write(writer: Writer) -> None:
        _write_matmul(writer, step, left, right, result)

    return Outcome((result,), write)


def product(a: Placed, b: Placed, samples: int | None) -> tuple[Placed, Placed, Placed]:
    """Both sides as they take part, and the product.

    Raises:
        RefusalError: the product sums over samples, or multiplies those of one side with those of the other.
    """
    if not a.shape or not b.shape:
        raise RefusalError("multiplies a number, which is no matrix")
    _not_summed(a, len(a.shape) - 1)
    _not_summed(b, max(len(b.shape) - 2, 0))
    if a.shape[-1] != b.shape[max(len(b.shape) - 2, 0)]:
        raise RefusalError(f"multiplies {a} by {b}, which do not fit")
    stack = aligned([_stack(a), _stack(b)], samples)
    rank = len(stack.result.shape)
    a, b = (_with_samples(x, s, rank, samples) for x, s in zip((a, b), stack.inputs, strict=True))
    shape, batch = list(stack.result.shape), stack.result.batch
    before = stack.result.before
    for x, axis in ((a, -2), (b, -1)):
        if len(x.shape) < 2:
            continue
        if x.batch == len(x.shape) + axis:
            if batch is not None:
                raise RefusalError(f"multiplies the batch axis of {a} with that of {b}")
            batch, before = len(shape), x.before
        shape.append(x.shape[axis])
    return a, b, Placed(tuple(shape), batch, before)


def _not_summed(x: Placed, axis: int) -> None:
    if x.batch == axis:
        raise RefusalError(f"sums over axis {axis} of {x}, the batch axis")


def _stack(x: Placed) -> Placed:
    """The axes in front of the matrix; of a constant one entry each, which tells if samples share it."""
    shape = x.shape[:-2]
    batch = x.batch if x.batch is not None and x.batch < len(shape) else None
    value = x.value if shape and batch is None and x.is_constant else None
    numbers = None if value is None else value[..., 0, 0]
    return Placed(shape, batch, x.before if batch is not None else 1, numbers)


def _with_samples(x: Placed, stack: Placed, rank: int, samples: int | None) -> Placed:
    """A side whose constant stack holds the file's batch, as that of one sample."""
    if stack.batch is None or x.batch is not None:
        return x
    axis = stack.batch - (rank - len(x.shape) + 2)
    return divided_constant(x, axis, stack.before, stack.after, samples) if axis >= 0 else x


def _write_matmul(writer: Writer, step: Step, a: Placed, b: Placed, result: Placed) -> None:
    output, names = step.output, step.node.input
    constant = a.is_known or b.is_known
    if a.is_known and b.is_known:
        both = [writer.operand(n, x, output) for n, x in zip(names, (a, b), strict=True)]
        writer.reshaped(writer.add("MatMul", both, f"{output}:product"), result.sample_shape, output)
        return
    if constant and _is_matrix(a if a.is_known else b, result):
        _write_rows(writer, step, a, b, result)
        return
    labels = _labels(len(a.shape), len(b.shape))
    if constant:
        write_contraction(writer, step, (a, b), labels, result)
        return
    shapes = [_as_matrix(a, 0), _as_matrix(b, 1)]
    rank = max(map(len, shapes)) if writer.shift else 0
    sides = []
    for name, x, shape, side in zip(names, (a, b), shapes, ("left", "right"), strict=True):
        full = (1,) * (rank - len(shape)) + shape
        same = full == x.sample_shape
        sides.append(name if same else writer.reshaped(name, full, f"{output}:{side}"))
    if min(len(a.shape), len(b.shape)) > 1:
        writer.copy(step.node, sides)
        return
    multiplied = writer.add("MatMul", sides, f"{output}:product", step.node.name)
    writer.reshaped(multiplied, result.sample_shape, output)


def _as_matrix(x: Placed, row: int) -> Shape:
    """The shape of one sample, a vector as a matrix with one row (0) or column (1)."""
    shape = x.sample_shape
    return shape if len(x.shape) > 1 else (*shape[:row], 1, *shape[row:])


def _is_matrix(constant: Placed, result: Placed) -> bool:
    """Whether a constant side is one matrix, behind axes of size 1 that add none to the result."""
    lead = constant.shape[:-2]
    return len(constant.shape) > 1 and len(constant.shape) <= len(result.shape) and set(lead) <= {1}


def _write_rows(writer: Writer, step: Step, a: Placed, b: Placed, result: Placed) -> None:
    """The product with one constant matrix."""
    names, output = list(step.node.input), step.output
    side = 0 if a.is_known else 1
    constant, other = (a, b) if side == 0 else (b, a)
    if constant.depends:
        raise RefusalError(f"the value of its input {names[side]!r} depends on the number of samples")
    inner = other.sample_shape
    if side == 0 and other.batch == len(other.shape) - 1 and not other.is_merged:
        # The columns are the samples: in one of them the rows are what a matrix multiplies from the right.
        assert constant.value is not None
        turned = constant.value.reshape(constant.shape[-2:]).T
        writer.copy(step.node, [names[1], writer.constant(turned, output)])
        return
    if constant.stored is not None and len(constant.shape) == 2:
        names[side] = writer.keep(constant.stored, names[side])
    else:
        value = constant.value
        assert value is not None
        names[side] = writer.constant(value.reshape(value.shape[-2:]), output)
    rows = (*inner[:-2], constant.shape[-2], *inner[-1:])
    shape = rows if side == 0 else (*inner[:-1], constant.shape[-1])
    if shape == result.sample_shape:
        writer.copy(step.node, names)
        return
    multiplied = writer.add("MatMul", names, f"{output}:product", step.node.name)
    writer.reshaped(multiplied, result.sample_shape, output)


def _labels(a: int, b: int) -> tuple[Labels, Labels, Labels]:
    """Axes of both sides and of the product, as Einsum would letter them."""
    depth = max(a, b) - 2
    stack = tuple(f"stack{i}" for i in range(max(depth, 0)))
    left = (*stack[len(stack) - max(a - 2, 0) :], "i", "k") if a > 1 else ("k",)
    right = (*stack[len(stack) - max(b - 2, 0) :], "k", "j") if b > 1 else ("k",)
    return left, right, (*stack, *(["i"] if a > 1 else []), *(["j"] if b > 1 else []))
