"""The default: blocks in order, each on the states that the compressed blocks before it give."""

from collections.abc import Sequence
from typing import Any

from sim_compress.compression.allocation.plan import plan_steps
from sim_compress.compression.allocation.shares import NAMED, allocation_of
from sim_compress.compression.appraisal.reached import of_supports
from sim_compress.compression.method import Method
from sim_compress.compression.rows.in_order import IN_ORDER
from sim_compress.compression.rows.patterns import pattern_of
from sim_compress.compression.steps.moments import MOMENTS, PROBLEMS
from sim_compress.compression.steps.step import Step
from sim_compress.compression.steps.target import Target
from sim_compress.compression.tuning.tuned import TUNING

ONE_AFTER_THE_OTHER = "blocks are solved one after the other, on regenerated states"


def _steps(target: Target) -> Sequence[Step[Any]]:
    settings = target.settings
    allocation = allocation_of(NAMED[settings.allocation], pattern_of(settings.pattern))
    return MOMENTS, PROBLEMS, *plan_steps(allocation), IN_ORDER, TUNING


SEQUENTIAL = Method(
    name="sequential",
    steps=_steps,
    unused=(),
    missed=of_supports,
    tunes=True,
    passes=2,
)
