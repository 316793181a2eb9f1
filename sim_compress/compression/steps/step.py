"""A run as a list of steps: each a pure function of the target and of what earlier steps gave."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from sim_compress.compression.resume import NO_PIECES, Kept, Pieces
from sim_compress.compression.steps.target import Target

Result = TypeVar("Result")
# Stage, and the parts of it between which a step lies, for a target.
Span = Callable[[Target], tuple[str, float, float]]


@dataclass(frozen=True, eq=False)
class Turn(Generic[Result]):
    """What a step is run with beside the results of its inputs.

    Attributes:
        target: what is asked of which network.
        progress: called with the finished part of the step in [0, 1].
        known: what the same step gave for a sparser target, where there is one. A step may go on from it; its
            result is the same without it.
        pieces: of its result, from an earlier process and for a later one.
    """

    target: Target
    progress: Callable[[float], None]
    known: Result | None = None
    pieces: Pieces = NO_PIECES


@dataclass(frozen=True, eq=False)
class Codec(Generic[Result]):
    """How a result is written and read again.

    Attributes:
        write: gives its arrays and JSON values; None where there is nothing to keep.
        read: gives it back to the bit, from the target, what was written, and the results of `inputs`.
        inputs: names of earlier steps.
    """

    write: Callable[[Result], Kept | None]
    read: Callable[..., Result]
    inputs: tuple[str, ...] = ()


def everything(target: Target) -> Any:
    """All settings."""
    return asdict(target.settings)


@dataclass(frozen=True, eq=False)
class Step(Generic[Result]):
    """One part of a run.

    Attributes:
        name: by which later steps ask for its result.
        inputs: names of earlier steps.
        run: gives the result from its turn and the results of its inputs, in their order.
        span: where it lies in the progress of a run.
        shared: whether its result is the same for every target sparsity.
        grows: what it depends on beside inputs that do not grow, as JSON, where it can go on from what it
            gave for another target; None where it cannot.
        matters: what its result depends on beside its inputs, as JSON.
        codec: how its result is written; None where it is as soon made again.
    """

    name: str
    inputs: tuple[str, ...]
    run: Callable[..., Result]
    span: Span
    shared: bool = False
    grows: Callable[[Target], Any] | None = None
    matters: Callable[[Target], Any] = everything
    codec: Codec[Result] | None = None

    @property
    def serves_others(self) -> bool:
        """Whether its result is of use at other target sparsities."""
        return self.shared or self.grows is not None
