"""Gemm: a product of two matrices, one of them constant, and a sum."""

import numpy as np

from sim_compress.frontend.axes.alignment import aligned
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.rules.products import product
from sim_compress.frontend.axes.step import Outcome, Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model.maps import Array


def gemm(step: Step) -> Outcome:
    """A matrix product with a constant, and a sum."""
    turned = [bool(step.attribute("transA", 0)), bool(step.attribute("transB", 0))]
    own = [step.input(0), step.input(1)]
    if any(len(x.shape) != 2 for x in own):
        raise RefusalError(f"multiplies {own[0]} by {own[1]}, which are no matrices")
    sides = [_turned(x) if t else x for x, t in zip(own, turned, strict=True)]
    if own[0].is_known == own[1].is_known:
        raise RefusalError("is no product with a constant matrix; export it as a MatMul")
    *_, plain = product(sides[0], sides[1], step.samples)
    inputs = [plain, step.input(2)] if step.has(2) else [plain]
    lined = aligned(inputs, step.samples)
    result = lined.result
    if result.shape != plain.shape:
        raise RefusalError(f"adds {inputs[-1]} to {plain}, which it would stretch")

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
    multiplied = writer.add("MatMul", names, f"{output}:product", step.node.name)
    writer.add("Add", [multiplied, *shift], output)
