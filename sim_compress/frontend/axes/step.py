"""One node while its tensors are placed: what a rule is given, and what it gives back."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from sim_compress.frontend import nodes
from sim_compress.frontend.axes.numbers import Number, Polynomial, Unknown, any_depends, tidied
from sim_compress.frontend.axes.placed import DECIDED_BY_BATCH, Placed
from sim_compress.frontend.axes.regrouping import Place
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError

DECIDED_BY_DATA = "depends on the values of the network's inputs"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a rule finds.

    Attributes:
        outputs: of the node, in order. write: writes the node for one sample, or with the samples first;
        called where an output is no constant. data: positions of the inputs whose numbers go into the
        outputs, all of them where None.
    """

    outputs: tuple[Placed, ...]
    write: Callable[[Writer], None]
    data: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """One node.

    Attributes:
        inputs: by position, None where one is absent.
        opset: version of the standard operator set.
        samples: the batch that the file fixes, None where it is open.
        choose: takes one of several places for the samples.
        read: the tensors that a node or the file's user reads.
    """

    node: onnx.NodeProto
    inputs: tuple[Placed | None, ...]
    opset: int
    samples: int | None
    choose: Callable[[Sequence[Place]], Place]
    read: Collection[str]

    def has(self, position: int) -> bool:
        """Whether an optional input is present."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def input(self, position: int) -> Placed:
        found = self.inputs[position] if position < len(self.inputs) else None
        if found is None:
            raise RefusalError(f"its input {position} is missing")
        return found

    @property
    def present(self) -> list[int]:
        """Positions of the inputs that are there."""
        return [i for i in range(len(self.inputs)) if self.has(i)]

    @property
    def output(self) -> str:
        return self.node.output[0]

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value: number, list of numbers, text or tensor."""
        return nodes.attribute(self.node, name, default)

    def numbers(self, name: str, position: int) -> list[Number] | None:
        """A setting that is an attribute or an input; polynomials in N where it follows from shapes.

        Raises:
            RefusalError: data decide it.
        """
        own = self.attribute(name)
        if own is not None:
            return list(own) if isinstance(own, Sequence) else [own]
        if not self.has(position):
            return None
        value = self.input(position).value
        if value is None:
            raise RefusalError(f"its input {position} ({name}) {DECIDED_BY_DATA}")
        return value.ravel().tolist()

    def integers(self, name: str, position: int) -> list[int] | None:
        """A setting of plain whole numbers.

        Raises:
            RefusalError: data or the number of samples decide it.
        """
        found = self.numbers(name, position)
        if found is None:
            return None
        plain = []
        for number in found:
            if isinstance(number, Polynomial | Unknown):
                by_batch = isinstance(number, Polynomial) or number.by_sample
                reason = DECIDED_BY_BATCH if by_batch else DECIDED_BY_DATA
                raise RefusalError(f"its input {position} ({name}) {reason}")
            plain.append(int(number))
        return plain

    def axis(self, name: str = "axis", default: int = -1, rank: int | None = None) -> int:
        """An attribute that is one axis of the first input, from the front."""
        return positive(self.attribute(name, default), len(self.input(0).shape) if rank is None else rank)

    def none_of(self, axes: Sequence[int]) -> None:
        """Refuse a node that works along the axis of the samples."""
        x = self.input(0)
        if x.batch is not None and x.batch in axes:
            raise RefusalError(f"acts along axis {x.batch} of {x}, the batch axis")


Rule = Callable[[Step], Outcome]


def positive(axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        RefusalError: there is none of that number.
    """
    if not -rank <= axis < rank:
        raise RefusalError(f"axis {axis} does not exist in a tensor of {rank} axes")
    return axis % rank


def _is_plain(x: Placed) -> bool:
    return not isinstance(x.numbers, Polynomial | Unknown)


def checked(outcome: Outcome, inputs: Sequence[Placed | None]) -> Outcome:
    """The outcome with tidy values.

    Raises:
        RefusalError: a value that N or n has a part in goes into tensors that data decide.
    """
    # numpy hands out single numbers in the place of arrays without axes.
    outputs = tuple(
        o if o.numbers is None else o.valued(tidied(np.asarray(o.numbers, None if _is_plain(o) else object)))
        for o in outcome.outputs
    )
    data = inputs if outcome.data is None else [inputs[i] for i in outcome.data if i < len(inputs)]
    if any(o.numbers is None for o in outputs) and any(
        x is not None and any_depends(x.numbers) for x in data
    ):
        raise RefusalError(f"one of its inputs {DECIDED_BY_BATCH}")
    return Outcome(outputs, outcome.write, outcome.data)
