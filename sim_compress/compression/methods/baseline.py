"""Algorithm 1 as printed: every row on the teacher's own states, all side by side; full support too."""

from collections.abc import Sequence
from typing import Any

from sim_compress.compression.allocation.plan import plan_steps
from sim_compress.compression.allocation.shares import ALPHA, NAMED, allocation_of
from sim_compress.compression.appraisal.reached import of_supports
from sim_compress.compression.method import Method, Unused
from sim_compress.compression.rows.patterns import pattern_of
from sim_compress.compression.rows.side_by_side import SIDE_BY_SIDE
from sim_compress.compression.steps.moments import MOMENTS, PROBLEMS
from sim_compress.compression.steps.step import Step
from sim_compress.compression.steps.target import Target
from sim_compress.compression.tuning.tuned import TUNING

NO_ROUNDS = Unused("nearest_rounds", (None, 0), "targets are moved on regenerated states alone")
# Of rows that an optimiser must leave as they are.
VALUES_STAY = (
    "tuning moves the values of rows: exact matching and the loops of full support do not allow that; leave "
    "it out"
)


def _steps(target: Target) -> Sequence[Step[Any]]:
    settings = target.settings
    allocation = allocation_of(NAMED[settings.allocation], pattern_of(settings.pattern))
    return MOMENTS, PROBLEMS, *plan_steps(allocation), SIDE_BY_SIDE, TUNING


def _of_full_support(target: Target) -> Sequence[Step[Any]]:
    # No block of a loop could be tried alone.
    allocation = allocation_of(ALPHA, pattern_of(target.settings.pattern))
    return MOMENTS, PROBLEMS, *plan_steps(allocation), SIDE_BY_SIDE, TUNING


BASELINE = Method(name="baseline", steps=_steps, unused=(NO_ROUNDS,), missed=of_supports)
FULL_SUPPORT = Method(
    name="full support",
    steps=_of_full_support,
    unused=(
        Unused("allocation", ("alpha",), "full support has one alpha for all blocks"),
        Unused("states", ("baseline",), "full support is always on baseline states"),
        NO_ROUNDS,
    ),
    missed=of_supports,
    untunable=VALUES_STAY,
    ties_tables=False,
)
