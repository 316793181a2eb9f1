"""A run as a list of steps: each a pure function of the target and of what earlier steps gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sim_compress.compression.steps.target import Target

Result = TypeVar("Result")
# progress(stage, finished part in [0, 1])
Progress = Callable[[str, float], None]
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
    """

    target: Target
    progress: Callable[[float], None]
    known: Result | None = None


@dataclass(frozen=True, eq=False)
class Step(Generic[Result]):
    """One part of a run.

    Attributes:
        name: by which later steps ask for its result.
        inputs: names of earlier steps.
        run: gives the result from its turn and the results of its inputs, in their order.
        span: where it lies in the progress of a run.
        shared: whether its result is the same for every target sparsity.
        grows: whether it goes on from what it gave for a sparser target.
    """

    name: str
    inputs: tuple[str, ...]
    run: Callable[..., Result]
    span: Span
    shared: bool = False
    grows: bool = False

    @property
    def serves_others(self) -> bool:
        """Whether its result is of use at other target sparsities."""
        return self.shared or self.grows


def walk(
    steps: Sequence[Step[Any]],
    target: Target,
    progress: Progress,
    known: Mapping[str, Any],
) -> dict[str, Any]:
    """The results of all steps by name, run in their order.

    Args:
        steps: every one behind its inputs.
        target: what they are run for.
        progress: called with a stage and its finished part.
        known: what steps gave for a sparser target of the same run.
    """
    results: dict[str, Any] = {}
    for step in steps:
        if step.shared and step.name in known:
            results[step.name] = known[step.name]
            continue
        turn = Turn(target, _told(step.span(target), progress), known.get(step.name))
        results[step.name] = step.run(turn, *(results[name] for name in step.inputs))
    return results


def _told(span: tuple[str, float, float], progress: Progress) -> Callable[[float], None]:
    stage, begin, end = span
    return lambda part: progress(stage, begin + (end - begin) * part)
