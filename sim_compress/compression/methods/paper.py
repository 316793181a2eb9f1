"""The paper's own problem (eq. 7 with 2d): one convex problem for each row, on the network's states.

    sparse:  min  alpha sum_j P(m_j) + lambda ||z - m's||^2      P: perspective of (4), in closed form
    robust:  min  beta  sum_j |m_j|  + lambda ||z - m's||^2      (6), (11);     ||a||_1 <= kappa

The norm is a sum over data points as printed, lambda is lambda1 for rows of states and lambda2 for those of
outputs, and a bias is the entry of a constant 1, penalised as all others. Nothing is searched, refitted or
tuned: the sparsity is what comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.allocation.scope import Part
from sim_compress.compression.appraisal.outcomes import outcomes
from sim_compress.compression.method import Method, Reason, Unused
from sim_compress.compression.methods.baseline import NO_ROUNDS
from sim_compress.compression.methods.found import AS_FOUND, Found
from sim_compress.compression.rows.patterns import UNSTRUCTURED
from sim_compress.compression.rows.problems import ball_of
from sim_compress.compression.rows.tasks import Planned, Regressed, fitted
from sim_compress.compression.settings import Settings
from sim_compress.compression.steps.moments import MOMENTS, PROBLEMS, Moments, Problems
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.compression.tuning.tuned import TUNING
from sim_compress.core import L1, Ball, Block, Gram, Penalty, RowProblems, Solution, largest
from sim_compress.core.engines import Shared, one_by_one_or
from sim_compress.core.gram import Matrix
from sim_compress.core.solvers import Solver
from sim_compress.errors import InputError
from sim_compress.model import Affine
from sim_compress.states import RowGroup, row_groups, teacher_rows

NO_TARGET = "the paper's problem decides the sparsity itself"


@dataclass(frozen=True)
class Printed:
    """The rows of one row group as printed, with the constant 1 as their last feature.

    Coordinates are v = m s / t with one s and one t for the whole group: sizes of the design and of the
    targets, so that solvers see numbers near 1.

    Attributes:
        problems: half the mean squared error over t^2, the same minimum as the sum.
        penalty: P up to a factor.
        alpha: its weight there.
        ball: kappa.
    """

    problems: RowProblems
    penalty: Penalty
    alpha: float
    ball: Ball | None


def printed(gram: Gram, teacher: Matrix, objective: str, strength: float) -> Printed:
    """The problem of a row group, without its ball.

    Args:
        gram: moments of design and targets.
        teacher: the network's rows, (rows, features + 1), their bias behind them.
        objective: `perspective` or `l1`.
        strength: alpha or beta over lambda.
    """
    n, mean = gram.points, np.append(gram.feature_mean, 1.0)
    scatter = np.pad(gram.scatter, (0, 1)) / n + np.outer(mean, mean)
    cross = np.pad(gram.cross, ((0, 0), (0, 1))) / n + np.outer(gram.target_mean, mean)
    squares = gram.target_scatter / n + gram.target_mean**2
    s, t = (float(np.sqrt(v.mean())) or 1.0 for v in (scatter.diagonal(), squares))
    # An entry of nothing has no use.
    there = scatter.diagonal() > 0
    problems = RowProblems(
        H=scatter / s**2,
        g=cross / (s * t),
        c=squares / t**2,
        prior=teacher * s / t,
        feature_scale=np.where(there, s, 0.0),
        row_scale=np.full(len(squares), t),
        feature_mean=np.zeros(len(mean)),
        row_mean=np.zeros(len(squares)),
    )
    # In units of m, the penalty is |m| up to 1; (4) is twice that.
    factor, knee = (1.0, s / t) if objective == "perspective" else (0.5, np.inf)
    return Printed(problems, L1 if knee == np.inf else Penalty(knee), factor * strength / (n * s * t), None)


@dataclass(frozen=True, eq=False)
class _Task:
    """The rows of one row group, for a worker."""

    own: Printed
    chosen: Solver


def _solved(task: Shared[_Task]) -> Solution:
    own = task.value.own
    return task.value.chosen.solve(own.problems, own.penalty, own.alpha, ball=own.ball)


def _plan(turn: Turn[Found], problems: Problems, moments: Moments) -> Found:
    target, paper = turn.target, turn.target.settings.paper
    assert paper is not None, "the map of methods"
    outputs = {o.name for o in target.ready.teacher.model.outputs}
    groups, printed_rows = list[tuple[str, Block]](), list[Printed]()
    for name, affine in problems.affines.items():
        strength = paper.weight / (paper.lambda2 if name in outputs else paper.lambda1)
        grams = {**moments.grams, **moments.ahead}[name]
        ball_within = ball_of(name, affine, problems.regression)
        for group, gram, block in zip(row_groups(affine), grams, problems.blocks[name], strict=True):
            own = printed(gram, _teacher(affine, group), target.settings.objective, strength)
            ball = ball_within(group, without_constant(own.problems))
            printed_rows.append(replace(own, ball=_with_constant(ball)))
            groups.append((name, block))
    tasks = [target.engine.share(_Task(own, target.ready.chosen)) for own in printed_rows]
    solutions = list(one_by_one_or(target.engine, _solved, tasks))
    for task in tasks:
        task.drop()
    planned: dict[str, tuple[Planned, ...]] = {}
    rows: list[Regressed] = []
    for (name, block), own, solution in zip(groups, printed_rows, solutions, strict=True):
        taken, regressed = _taken(own, block, solution)
        planned[name] = (*planned.get(name, ()), taken)
        rows.append(regressed)
    return Found(target.scope, planned, outcomes(solutions), (paper.weight,), False, tuple(rows))


def _teacher(affine: Affine, group: RowGroup) -> Matrix:
    """The network's rows with their bias, (rows, features + 1)."""
    bias = np.zeros(affine.rows) if affine.bias is None else affine.bias.astype(np.float64)
    return np.column_stack([teacher_rows(affine, group), bias[group.rows]])


def without_constant(problems: RowProblems) -> RowProblems:
    """The problems of the other features."""
    return replace(
        problems,
        H=problems.H[:-1, :-1],
        g=problems.g[:, :-1],
        prior=problems.prior[:, :-1],
        feature_scale=problems.feature_scale[:-1],
        feature_mean=problems.feature_mean[:-1],
    )


def _with_constant(ball: Ball | None) -> Ball | None:
    """The ball, of which the constant takes nothing."""
    return None if ball is None else Ball(np.pad(ball.weights, ((0, 0), (0, 1))), ball.radius)


def _taken(own: Printed, block: Block, solution: Solution) -> tuple[Planned, Regressed]:
    """The solved rows, with the constant's entry as the bias."""
    problems, V = own.problems, solution.rows
    bias = V[:, -1] * problems.row_scale / problems.feature_scale[-1]
    found = replace(without_constant(problems), row_mean=bias)
    support = V[:, :-1] != 0
    count = int(support.sum() + np.count_nonzero(bias[~block.given]))
    planned = Planned(Block(found, own.penalty, None, block.biased), support, count, largest, fitted)
    return planned, Regressed(V[:, :-1], bias != 0)


def _steps(_target: Target) -> Sequence[Step[Any]]:
    plan = Step("plan", ("problems", "moments"), _plan, lambda _: ("allocation", 0.0, 1.0))
    return MOMENTS, PROBLEMS, plan, AS_FOUND, TUNING


def _check(settings: Settings) -> None:
    if settings.pattern != UNSTRUCTURED:
        raise InputError(f"{NO_TARGET}, and supports with it: no pattern {settings.pattern}")
    if settings.targets:
        raise InputError(f"{NO_TARGET}: no targets of blocks, leave them out")


def _missed(_settings: Settings, _plan: Plan, _part: Part, _after: Mapping[str, Affine]) -> Reason:
    return NO_TARGET, None


PAPER = Method(
    name="paper",
    steps=_steps,
    unused=(
        Unused("matching", ("relaxed",), "the paper's problem (7) matches states nearly"),
        Unused("allocation", (), f"{NO_TARGET}, of every row"),
        Unused("states", ("baseline",), "the paper's rows are fitted on the network's states"),
        NO_ROUNDS,
        Unused("augment", ("none",), "the paper takes the inputs as they are"),
    ),
    missed=_missed,
    check=_check,
    # Nothing but the printed terms.
    damping=0.0,
    mirrors=False,
    ties_tables=False,
    untunable="the paper's rows stay as they were solved: leave tuning out",
    several=NO_TARGET,
    decides=True,
)
