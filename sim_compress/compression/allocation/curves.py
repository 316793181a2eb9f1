"""The step that measures what each block's sparsity does to the outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim_compress.compression.allocation.output_error import Trials, output_curves
from sim_compress.compression.allocation.paths import Paths
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume.records import joined, read_records, write_records
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Codec, Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.core import Curve


@dataclass(frozen=True, eq=False)
class Curves:
    """Errors of the outputs when one block alone is sparse.

    Attributes:
        curves: block or output name -> error against entries kept.
        trials: what the curves are made of, for those of longer paths.
        steps: alphas of the paths along which rows were tried.
    """

    curves: Mapping[str, Curve]
    trials: Trials
    steps: int


def _curves(turn: Turn[Curves], problems: Problems, paths: Paths) -> Curves:
    known = turn.known
    if known is not None and known.steps == paths.steps:
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
        turn.target.engine,
        turn.progress,
        before,
        turn.target.storage,
    )
    return Curves(curves, trials, paths.steps)


def _written(curves: Curves) -> Kept:
    numbers = np.array([key[1:] for key in curves.trials], np.int64).reshape(-1, 3)
    own = Kept(
        {"trials": numbers, "trial errors": np.array(list(curves.trials.values()), np.float64)},
        {"names": [key[0] for key in curves.trials], "steps": curves.steps},
    )
    return joined(own, write_records("curves", {n: (c,) for n, c in curves.curves.items()}))


def _read(_target: Target, kept: Kept) -> Curves:
    numbers, errors = kept.arrays["trials"].tolist(), kept.arrays["trial errors"].tolist()
    trials = {
        (name, step, count, samples): error
        for name, (step, count, samples), error in zip(kept.fields["names"], numbers, errors, strict=True)
    }
    curves = {n: own[0] for n, own in read_records("curves", Curve, kept).items()}
    return Curves(curves, trials, kept.fields["steps"])


def _pattern(target: Target) -> Any:
    return target.settings.pattern


CURVES = Step(
    "curves",
    ("problems", "paths"),
    _curves,
    lambda _: ("allocation", 0.45, 0.9),
    grows=_pattern,
    matters=_pattern,
    codec=Codec(_written, _read),
)
