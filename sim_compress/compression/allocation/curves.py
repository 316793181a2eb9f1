"""The step that measures what each block's sparsity does to the outputs."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim_compress.compression.allocation.output_error import Trials, output_curves
from sim_compress.compression.allocation.paths import Paths
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.core import Curve


@dataclass(frozen=True, eq=False)
class Curves:
    """Errors of the outputs when one block alone is sparse.

    Attributes:
        curves: block or output name -> error against entries kept.
        trials: what the curves are made of, for those of longer paths.
        paths: along which rows were tried.
    """

    curves: Mapping[str, Curve]
    trials: Trials
    paths: Paths


def _curves(turn: Turn[Curves], problems: Problems, paths: Paths) -> Curves:
    known = turn.known
    if known is not None and known.paths is paths:
        return known
    ready = turn.target.ready
    before = {} if known is None else known.trials
    curves, trials = output_curves(
        ready.teacher,
        problems.affines,
        ready.designs,
        problems.blocks,
        paths.of,
        paths.projections,
        turn.progress,
        before,
    )
    return Curves(curves, trials, paths)


CURVES = Step("curves", ("problems", "paths"), _curves, lambda _: ("allocation", 0.45, 0.9), grows=True)
