"""Row problems for the benchmarks, with the samples they come from.

Features are correlated and not negative, as patches of ReLU states are; targets are noisy.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sim_compress.core import Gram, Penalty, RowProblems, standardise
from sim_compress.core.gram import Matrix


@dataclass(frozen=True)
class Sample:
    """Row problems with the data they come from.

    Attributes:
        problems: in Gram form.
        X: standardised design, (points, features).
        Y: standardised targets, (points, rows).
    """

    problems: RowProblems
    X: Matrix
    Y: Matrix


def sample(features: int, rows: int, points: int, damping: float = 0.0) -> Sample:
    """The same numbers at every call."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((features, features)) / np.sqrt(features)
    S = np.maximum(mix @ rng.standard_normal((features, points)) + 0.3, 0)
    W = rng.standard_normal((rows, features))
    Z = W @ S
    Z += 0.1 * Z.std() * rng.standard_normal(Z.shape)
    gram = Gram.zeros(features, rows)
    gram.add(S, Z)
    problems = standardise(gram, W, damping)
    X = (S.T - problems.feature_mean) / problems.feature_scale
    return Sample(problems, np.asfortranarray(X), (Z.T - problems.row_mean) / problems.row_scale)


def first_rows(problems: RowProblems, count: int) -> RowProblems:
    fields = ("g", "c", "prior", "row_scale", "row_mean")
    return replace(problems, **{name: getattr(problems, name)[:count] for name in fields})


def objective(problems: RowProblems, penalty: Penalty, alpha: float, V: Matrix) -> Matrix:
    """datafit + alpha sum P of each row, computed here and not by a solver."""
    return problems.datafit(V) + alpha * penalty.value(V).sum(axis=1)


@dataclass(frozen=True)
class Timed:
    """What a call gave, with its wall and processor seconds."""

    rows: Matrix
    wall: float
    cpu: float


def timed(work: Callable[[], Matrix], warm: bool = True) -> Timed:
    """Time of one call; after a first one that compiles, unless it is too slow for that."""
    if warm:
        work()
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    return Timed(rows, time.perf_counter() - wall, time.process_time() - cpu)
