"""Whole channels leave: there are no supports to find, rows are fitted on the channels that stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.certificate import Scaling
from sim_compress.compression.allocation.leaving import Leaving, leaving, remaining, whole_words
from sim_compress.compression.allocation.plan import Plan, read_plan, written
from sim_compress.compression.allocation.scope import Part
from sim_compress.compression.appraisal.outcomes import outcomes
from sim_compress.compression.method import Method, Reason, Unused
from sim_compress.compression.methods.baseline import NO_ROUNDS
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume.records import joined
from sim_compress.compression.rows.in_order import IN_ORDER
from sim_compress.compression.rows.side_by_side import SIDE_BY_SIDE
from sim_compress.compression.rows.tasks import fitted
from sim_compress.compression.settings import Settings
from sim_compress.compression.steps.moments import MOMENTS, PROBLEMS, Problems
from sim_compress.compression.steps.step import Codec, Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.compression.tuning.tuned import TUNING
from sim_compress.core import largest
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, channel_axes, narrowed


@dataclass(frozen=True, eq=False)
class Narrower(Plan):
    """A plan under which channels leave.

    Attributes:
        stays: block name -> which of its channels do, (channels,).
        whole: what is said of blocks of which no channel can leave.
    """

    stays: Mapping[str, NDArray[np.bool_]]
    whole: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        return self.whole

    @property
    def kept(self) -> Mapping[str, NDArray[np.bool_]]:
        return self.stays

    def narrowed(self, model: ImplicitModel, scaling: Scaling) -> tuple[ImplicitModel, Scaling]:
        axes = channel_axes(model)
        cut = {
            n: np.compress(self.stays[n], s, axis=axes[n]) if s.ndim and n in axes else s
            for n, s in scaling.items()
        }
        return narrowed(model, self.stays), cut


def _leaving(turn: Turn[Leaving], problems: Problems) -> Leaving:
    ready = turn.target.ready
    return leaving(
        ready.teacher, problems.affines, ready.designs, problems.blocks, turn.target.engine, turn.progress
    )


def _prices(known: Leaving) -> Kept:
    prices = {n: own[0].price for n, own in known.readers.items() if own}
    return Kept({"prices": np.array(list(prices.values()), np.float64)}, {"names": list(prices)})


def _priced(target: Target, kept: Kept, problems: Problems) -> Leaving:
    ready, prices = target.ready, zip(kept.fields["names"], kept.arrays["prices"].tolist(), strict=True)
    return leaving(
        ready.teacher,
        problems.affines,
        ready.designs,
        problems.blocks,
        target.engine,
        lambda _: None,
        dict(prices),
    )


def _written(plan: Narrower) -> Kept:
    stays = {f"stays.{n}": mask for n, mask in enumerate(plan.stays.values())}
    return joined(written(plan), Kept(stays, {"states": list(plan.stays), "whole": list(plan.whole)}))


def _read(target: Target, kept: Kept, problems: Problems) -> Narrower:
    onto = {n: [largest] * len(own) for n, own in problems.blocks.items()}
    stays = {name: kept.arrays[f"stays.{n}"] for n, name in enumerate(kept.fields["states"])}
    own = read_plan(target, kept, problems, onto, fitted)
    return Narrower(**own, stays=stays, whole=tuple(kept.fields["whole"]))


def _plan(multiple: int, turn: Turn[Narrower], problems: Problems, known: Leaving) -> Narrower:
    target = turn.target
    groups, stays = remaining(
        known, target.ready.teacher.model, problems.blocks, target.settings.target_sparsity, multiple
    )
    whole = whole_words(known.channels.whole)
    return Narrower(target.scope, groups, outcomes(()), (), False, stays, whole)


def _steps(multiple: int, rows: Step[ImplicitModel], _target: Target) -> Sequence[Step[Any]]:
    leaves = Step(
        "leaving",
        ("problems",),
        _leaving,
        lambda _: ("allocation", 0.0, 1.0),
        shared=True,
        matters=lambda _: [],
        codec=Codec(_prices, _priced, ("problems",)),
    )
    plan = Step(
        "plan",
        ("problems", "leaving"),
        partial(_plan, multiple),
        lambda _: ("allocation", 1.0, 1.0),
        codec=Codec(_written, _read, ("problems",)),
    )
    return MOMENTS, PROBLEMS, leaves, plan, rows, TUNING


def _check(settings: Settings) -> None:
    if settings.design.loops:
        raise InputError(
            "full support reads every state: no channel can leave; use the support of the network"
        )
    if settings.targets:
        raise InputError("channels leave across blocks: they have one target, and none by name")


def _missed(_settings: Settings, _plan: Plan, _part: Part, _after: Mapping[str, Affine]) -> Reason:
    return "channels leave whole, and rows that read no channel that can leave stay", None


LEAST_SQUARES = "rows of whole channels are least squares, with no convex f and C and no penalty"
UNUSED = (
    Unused("allocation", (), "channels leave by their cost at the outputs, over all blocks together"),
    Unused("objective", (), LEAST_SQUARES),
    Unused("solver", (), LEAST_SQUARES),
)


def channels_in_order(multiple: int) -> Method:
    """Rows of whole channels on regenerated states; channels of a state are a multiple of so many."""
    return Method(
        name="channels",
        steps=partial(_steps, multiple, IN_ORDER),
        unused=UNUSED,
        missed=_missed,
        check=_check,
        tunes=True,
        passes=2,
    )


def channels_at_once(multiple: int) -> Method:
    """The same on the teacher's own states."""
    return Method(
        name="channels",
        steps=partial(_steps, multiple, SIDE_BY_SIDE),
        unused=(*UNUSED, NO_ROUNDS),
        missed=_missed,
        check=_check,
    )
