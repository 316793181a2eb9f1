"""Matrix products: MatMul, Gemm, Einsum. Each entry of the axis of the samples has a product of its own."""

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_letters

import numpy as np

from sim_compress.frontend.axes.alignment import aligned, divided_constant
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.rules.contraction import Labels, Operand, contract
from sim_compress.frontend.axes.step import Outcome, Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model import Shape
from sim_compress.model.maps import Array


def matmul(step: Step) -> Outcome:
    """Stacks of matrices, which broadcast; a vector is a matrix of one row or column."""
    left, right, result = _product(step.input(0), step.input(1), step.samples)

    def write(writer: Writer) -> None:
        _write_matmul(writer, step, left, right, result)

    return Outcome((result,), write)


def _product(a: Placed, b: Placed, samples: int | None) -> tuple[Placed, Placed, Placed]:
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
    if constant and _is_matrix(a if a.is_known else b, result):
        _write_rows(writer, step, a, b, result)
        return
    labels = _labels(len(a.shape), len(b.shape))
    if constant:
        _write_contraction(writer, step, (a, b), labels, result)
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
    product = writer.add("MatMul", sides, f"{output}:product", step.node.name)
    writer.reshaped(product, result.sample_shape, output)


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
    product = writer.add("MatMul", names, f"{output}:product", step.node.name)
    writer.reshaped(product, result.sample_shape, output)


def _labels(a: int, b: int) -> tuple[Labels, Labels, Labels]:
    """Axes of both sides and of the product, as Einsum would letter them."""
    depth = max(a, b) - 2
    stack = tuple(f"stack{i}" for i in range(max(depth, 0)))
    left = (*stack[len(stack) - max(a - 2, 0) :], "i", "k") if a > 1 else ("k",)
    right = (*stack[len(stack) - max(b - 2, 0) :], "k", "j") if b > 1 else ("k",)
    return left, right, (*stack, *(["i"] if a > 1 else []), *(["j"] if b > 1 else []))


def _write_contraction(
    writer: Writer, step: Step, sides: Sequence[Placed], labels: Sequence[Labels], result: Placed
) -> None:
    """A contraction of labelled axes, without the axis of the samples."""
    *inside, after = labels
    batch = None if result.batch is None or result.is_merged else after[result.batch]
    sizes = dict(zip(after, result.shape, strict=True))
    operands = [
        _operand(writer, step, i, x, own, batch, sizes)
        for i, (x, own) in enumerate(zip(sides, inside, strict=True))
    ]
    contract(writer, step, operands, tuple(a for a in after if a != batch))


def _operand(
    writer: Writer,
    step: Step,
    position: int,
    x: Placed,
    labels: Labels,
    batch: str | None,
    sizes: dict[str, int],
) -> Operand:
    """An operand without the axis of the samples; axes of size 1 that are stretched leave too."""
    name = step.node.input[position]
    if x.depends:
        raise RefusalError(f"the value of its input {name!r} depends on the number of samples")
    stays = [
        a != batch and not (s == 1 and sizes.get(a, 1) > 1) for a, s in zip(labels, x.shape, strict=True)
    ]
    kept = tuple(a for a, stay in zip(labels, stays, strict=True) if stay)
    shape = tuple(s for s, stay in zip(x.shape, stays, strict=True) if stay)
    if not x.is_known:
        tensor = (
            name
            if shape == x.sample_shape
            else writer.reshaped(name, shape, f"{step.output}:narrow{position}")
        )
        return Operand(kept, shape, tensor)
    value = x.value
    assert value is not None
    return Operand(kept, shape, values=value.reshape(shape))


def gemm(step: Step) -> Outcome:
    """A matrix product with a constant, and a sum."""
    turned = [bool(step.attribute("transA", 0)), bool(step.attribute("transB", 0))]
    own = [step.input(0), step.input(1)]
    if any(len(x.shape) != 2 for x in own):
        raise RefusalError(f"multiplies {own[0]} by {own[1]}, which are no matrices")
    sides = [_turned(x) if t else x for x, t in zip(own, turned, strict=True)]
    if own[0].is_known == own[1].is_known:
        raise RefusalError("is no product with a constant matrix; export it as a MatMul")
    *_, product = _product(sides[0], sides[1], step.samples)
    inputs = [product, step.input(2)] if step.has(2) else [product]
    lined = aligned(inputs, step.samples)
    result = lined.result
    if result.shape != product.shape:
        raise RefusalError(f"adds {inputs[-1]} to {product}, which it would stretch")

    def write(writer: Writer) -> None:
        side = 1 if own[1].is_known else 0
        x, stored = own[1 - side], own[side].stored
        if side == 1 and len(x.sample_shape) == 1 and stored is not None:
            names = [step.node.input[0], writer.keep(stored, step.node.input[1])]
            if step.has(2):
                wanted = lined.inputs[1]
                names.append(writer.lined_up(step.node.input[2], step.input(2), wanted, result, step.output))
            writer.copy(step.node, names, transA=None)
            return
        shift = _shift(writer, step, lined.inputs[1], result) if step.has(2) else []
        alpha = np.float32(step.attribute("alpha", 1.0))
        own_weight = sides[side].first_sample
        weight = own_weight if alpha == 1 else (own_weight * alpha).astype(np.float32, copy=False)
        _write_sum(writer, step, (side, weight), x, turned[1 - side], shift)

    return Outcome((result,), write)


def _shift(writer: Writer, step: Step, wanted: Placed, result: Placed) -> list[str]:
    """What a Gemm adds, times its beta."""
    beta = np.asarray(step.attribute("beta", 1.0), np.float32)
    name = writer.lined_up(step.node.input[2], step.input(2), wanted, result, step.output)
    if beta == 1:
        return [name]
    if wanted.is_known:
        scaled = wanted.valued((wanted.first_sample * beta).astype(np.float32))
        return [writer.lined_up("", scaled, scaled, result, step.output)]
    return [writer.add("Mul", [name, writer.constant(beta, step.output)], f"{step.output}:shift")]


def _turned(x: Placed) -> Placed:
    value = x.value
    batch = None if x.batch is None else 1 - x.batch
    return Placed(x.shape[::-1], batch, x.before, None if value is None else value.T)


def _write_sum(
    writer: Writer, step: Step, constant: tuple[int, Array], x: Placed, is_turned: bool, shift: list[str]
) -> None:
    """A product with a constant (its side, its values) and a sum, for any number of axes."""
    (side, weight), output = constant, step.output
    name = step.node.input[1 - side]
    if len(x.sample_shape) == 1:
        # The row or column of one sample is a vector, which a matrix multiplies from the right.
        names = [name, writer.constant(weight if side else weight.T, output)]
    else:
        if is_turned:
            perm = [0] * writer.shift + writer.axes([1, 0])
            name = writer.add("Transpose", [name], f"{output}:turned", perm=perm)
        names = [name, writer.constant(weight, output)] if side else [writer.constant(weight, output), name]
    if not shift:
        writer.add("MatMul", names, output, step.node.name)
        return
    product = writer.add("MatMul", names, f"{output}:product", step.node.name)
    writer.add("Add", [product, *shift], output)


def einsum(step: Step) -> Outcome:
    """Axes by letters."""
    labels = _einsum_labels(step)
    sides = [step.input(i) for i in step.present]
    *inside, after = labels
    letters = {own[x.batch] for x, own in zip(sides, inside, strict=True) if x.batch is not None}
    if len(letters) > 1:
        raise RefusalError(
            f"its equation {step.attribute('equation')!r} has the batch axis under two letters"
        )
    batch = letters.pop() if letters else None
    if batch is not None and batch not in after:
        raise RefusalError(f"its equation {step.attribute('equation')!r} sums over the batch axis")
    main = next((x for x in sides if x.batch is not None), None)
    if batch is not None and main is not None:
        sides = [
            divided_constant(x, own.index(batch), main.before, main.after, step.samples)
            if x.batch is None and batch in own and x.shape[own.index(batch)] != 1
            else x
            for x, own in zip(sides, inside, strict=True)
        ]
    sizes: dict[str, int] = {}
    for x, own in zip(sides, inside, strict=True):
        for label, size in zip(own, x.shape, strict=True):
            if size != 1 and sizes.setdefault(label, size) != size:
                raise RefusalError(f"its equation {step.attribute('equation')!r} does not fit {x}")
    shape = tuple(sizes.get(a, 1) for a in after)
    place = None if batch is None else after.index(batch)
    result = Placed(shape, place, 1 if main is None else main.before)

    def write(writer: Writer) -> None:
        if all(x.is_known for x in sides):
            names = [writer.operand(n, x, step.output) for n, x in zip(step.node.input, sides, strict=True)]
            writer.copy(step.node, names, equation=_spelled(labels, sides, result, batch))
            return
        if len(sides) > 2 or any(len(set(a)) < len(a) for a in inside):
            raise RefusalError(
                f"its equation {step.attribute('equation')!r} is no contraction of at most two operands"
            )
        _write_contraction(writer, step, sides, labels, replace(result))

    return Outcome((result,), write)


def _spelled(labels: Sequence[Labels], sides: Sequence[Placed], result: Placed, batch: str | None) -> str:
    """An equation without the letter of the samples, where that axis goes."""
    letters = dict(zip(dict.fromkeys(a for own in labels for a in own), ascii_letters, strict=False))

    def term(own: Labels, x: Placed) -> str:
        return "".join(letters[a] for a in own if a != batch or x.batch is None or x.is_merged)

    *inside, after = labels
    terms = [term(own, x) for own, x in zip(inside, sides, strict=True)]
    return f"{','.join(terms)}->{term(after, result)}"


def _einsum_labels(step: Step) -> list[Labels]:
    """Labels of the axes of each operand and of the result; axes under dots are labelled from the right."""
    equation = str(step.attribute("equation", "")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(step.present):
        raise RefusalError(f"its equation {equation!r} does not fit {len(step.present)} inputs")
    letters = left.replace(",", "").replace(".", "")
    if not arrow:
        once = sorted(a for a in set(letters) if letters.count(a) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    own = [
        len(step.input(i).shape) - len(t.replace(".", "")) for i, t in zip(step.present, terms, strict=True)
    ]
    if min(own) < 0 or any(c and "..." not in t for c, t in zip(own, terms, strict=True)):
        raise RefusalError(f"its equation {equation!r} does not fit the axes of its inputs")
    most = max(own)

    def spelled(term: str, count: int) -> Labels:
        before, dots, after = term.partition("...")
        hidden = tuple(f"...{i}" for i in range(most - count, most)) if dots else ()
        return (*before, *hidden, *after)

    return [*(spelled(t, c) for t, c in zip(terms, own, strict=True)), spelled(right, most)]
