"""Operators entry by entry: inputs line up from the right, as numpy broadcasts."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from sim_compress.frontend.axes.alignment import Aligned, aligned
from sim_compress.frontend.axes.numbers import ARITHMETIC, objects, unknowns
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import Outcome, Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.model.maps import Array

# Shape arithmetic has a handful of numbers, masks and positions a square of the length of a text.
MOST_NUMBERS = 2**21
# Operators of any number of inputs, taken two at a time.
FOLDED = ("Max", "Min")


def elementwise(step: Step) -> Outcome:
    """All inputs line up."""
    return _over(step, step.present)


def first_input(step: Step) -> Outcome:
    """The first input alone has axes; others are settings, such as the bounds of a Clip."""
    return _over(step, [0])


def _over(step: Step, positions: Sequence[int]) -> Outcome:
    own = [step.input(i) for i in positions]
    lined = aligned(own, step.samples)
    result = lined.result.valued(_values(step.node.op_type, lined))

    def write(writer: Writer) -> None:
        names = list(step.node.input)
        if (place := _beside_zeros(step.node.op_type, own, lined.result)) is not None:
            writer.add("Identity", [names[place]], step.output, step.node.name)
            return
        for i in step.present:
            name = names[i]
            if i in positions:
                at = positions.index(i)
                names[i] = writer.lined_up(name, own[at], lined.inputs[at], lined.result, step.output)
            else:
                names[i] = writer.operand(name, step.input(i), step.output)
        writer.copy(step.node, names)

    return Outcome((result,) * len(step.node.output), write)


def _beside_zeros(operator: str, inputs: Sequence[Placed], result: Placed) -> int | None:
    """The input that zeros are added to which shapes decide, as the state before the first step."""
    if operator != "Add":
        return None
    for place, (x, other) in enumerate(zip(inputs, reversed(inputs), strict=True)):
        is_zero = other.is_constant and other.stored is None and not other.first_sample.any()
        if is_zero and not x.is_known and x.sample_shape == result.sample_shape:
            return place
    return None


def _values(operator: str, lined: Aligned) -> Array | None:
    """The numbers of the result as far as they follow from known ones."""
    known = [x.value for x in lined.inputs if x.numbers is not None or x.stored is not None]
    if operator not in ARITHMETIC or not known or prod(lined.result.shape) > MOST_NUMBERS:
        return None
    # Whole numbers and truth values go on to shapes; floats that data have a part in go nowhere.
    if len(known) < len(lined.inputs) and any(v.dtype.kind == "f" for v in known if v is not None):
        return None
    function: Any = ARITHMETIC[operator]
    values = _filled(lined.inputs)
    if function.nin == len(values):
        found = function(*values)
    elif operator in FOLDED:
        found = values[0]
        for other in values[1:]:
            found = function(found, other)
    else:
        return None
    return np.broadcast_to(np.asarray(found, object), lined.result.shape)


def _filled(inputs: Sequence[Placed]) -> list[Array]:
    return [unknowns(x.shape) if x.value is None else objects(x.value) for x in inputs]
