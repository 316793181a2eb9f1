"""Einsum: products and sums by the letters of axes."""

from collections.abc import Sequence
from string import ascii_letters

from sim_compress.frontend.axes.alignment import divided_constant
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.rules.contraction import Labels, write_contraction
from sim_compress.frontend.axes.step import Outcome, Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError


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
        write_contraction(writer, step, sides, labels, result)

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
