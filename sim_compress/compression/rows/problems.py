"""Between the state model and the numerical core: rows of a block as problems, and solutions as rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.certificate import Scaling, absolute_features, row_bounds, row_scaling
from sim_compress.compression.rows.design import Design
from sim_compress.core import L1, Ball, Block, Gram, Penalty, RowProblems, standardise
from sim_compress.core.gram import Matrix
from sim_compress.model import Affine, ImplicitModel, Term, weight_shape
from sim_compress.states import RowGroup, Visit, row_groups, teacher_rows

# Strength of the pull towards the teacher's row, times features per data point.
DAMPING = 0.3
# Rows may grow to this multiple of the teacher's largest row norm before kappa binds.
HEADROOM = 2.0


@dataclass(frozen=True)
class Limits:
    """The kappa constraint: |A| s <= bound for the rows of the blocks that have a bound.

    Attributes:
        scaling: s of theorem 2.4 for the blocks that have one.
        bounds: block name -> bound, of the shape of the state.
        uses: block or output name -> all that have its rows, itself first.
    """

    scaling: Scaling
    bounds: Scaling
    uses: Mapping[str, tuple[tuple[str, Affine], ...]]


def row_limits(model: ImplicitModel, kappa: float, design: Design) -> Limits:
    """The constraint under which rows are solved that start from a model's own.

    Raises:
        CertificateError: its blocks form a loop of which kappa is not proven.
    """
    scaling = row_scaling(model, kappa, HEADROOM)
    own = dict(model.affines())
    shared = model.uses if design.shares_rows else lambda name: (name,)
    uses = {name: tuple((n, own[n]) for n in shared(name)) for name in own}
    return Limits(scaling, row_bounds(model, scaling, kappa), uses)


@dataclass(frozen=True)
class Regression:
    """How the rows of a run become problems.

    Attributes:
        penalty: of rows, from those of the network in standard coordinates, (rows, features).
        damping: strength of the pull towards the network's rows, times features per data point; zero where
            the states are matched exactly.
        limits: the kappa constraint.
        design: what rows may use.
    """

    penalty: Callable[[Matrix], Penalty]
    damping: float
    limits: Limits
    design: Design


def row_blocks(visit: Visit, regression: Regression) -> tuple[Block, ...]:
    """The row problems of every row group of one block."""
    ball = ball_of(visit.name, visit.affine, regression)
    return tuple(
        _block(visit.affine, group, gram, regression, ball)
        for group, gram in zip(row_groups(visit.affine), visit.grams, strict=True)
    )


def ball_of(
    name: str, affine: Affine, regression: Regression
) -> Callable[[RowGroup, RowProblems], Ball | None]:
    """The kappa constraint of a block's row groups, in coordinates of their problems; None without one."""
    limited = _limited(name, affine, regression.limits)

    def ball(group: RowGroup, problems: RowProblems) -> Ball | None:
        found = _inside_all([own.ball(group, problems) for own in limited])
        return None if found is None else regression.design.inside(found, name, affine, group)

    return ball


def _block(
    affine: Affine,
    group: RowGroup,
    gram: Gram,
    regression: Regression,
    ball: Callable[[RowGroup, RowProblems], Ball | None],
) -> Block:
    """The row problems of one row group, with its penalty and its kappa constraint."""
    problems = standardise(gram, teacher_rows(affine, group), regression.damping * group.width / gram.points)
    penalty = regression.penalty(problems.prior)
    return Block(problems, penalty, ball(group, problems), _biased(affine, group))


def _biased(affine: Affine, group: RowGroup) -> NDArray[np.bool_]:
    """(rows,) the rows that have a bias in the network."""
    if affine.bias is None:
        return np.zeros(group.rows.stop - group.rows.start, bool)
    return affine.bias[group.rows] != 0


def _perspective(prior: Matrix) -> Penalty:
    """Its knee is the median size of the teacher's scaled weights."""
    sizes = np.abs(prior[prior != 0])
    return Penalty(float(np.median(sizes)) if sizes.size else np.inf)


def _l1(_prior: Matrix) -> Penalty:
    return L1


# Objective -> its penalty.
PENALTIES: Mapping[str, Callable[[Matrix], Penalty]] = {"perspective": _perspective, "l1": _l1}


@dataclass(frozen=True, eq=False)
class _Limited:
    """What kappa allows one use of some rows, the same for all of its row groups.

    Attributes:
        reach: of each weighted term, what a feature may come to, (columns,).
        taken: what the fixed terms use of the bounds.
        bounds: of each row, (rows,).
    """

    reach: tuple[Matrix, ...]
    taken: float
    bounds: Matrix

    def ball(self, group: RowGroup, problems: RowProblems) -> Ball | None:
        """sum_j |a_ij| s_j <= bound_i less what the fixed terms use of it; None where no state is read."""
        s = np.concatenate([reach[part] for reach, part in zip(self.reach, group.features, strict=True)])
        if not s.any():
            return None
        d = problems.feature_scale
        per_feature = np.divide(s, d, out=np.zeros_like(s), where=d > 0)
        return Ball(np.outer(problems.row_scale, per_feature), self.bounds[group.rows] - self.taken)


def _limited(name: str, affine: Affine, limits: Limits) -> list[_Limited]:
    """The uses of a block's rows that have a bound. Outputs have none."""
    uses = [(name, affine), *limits.uses[name][1:]]
    return [
        _Limited(
            tuple(_reach(t, limits.scaling) for t in a.weighted),
            sum(float(_reach(t, limits.scaling).max()) for t in a.terms if t.weight is None),
            _smallest(a, limits.bounds[n]),
        )
        for n, a in uses
        if n in limits.bounds
    ]


def _inside_all(balls: Sequence[Ball | None]) -> Ball | None:
    """A ball inside those of all uses of the same rows; the ball itself where there is one.

    Entries count as in the use where they take most of the radius.
    """
    first, *others = [b for b in balls if b is not None] or [None]
    if first is None or not others:
        return first
    tiny = np.finfo(float).tiny
    relative = [b.weights * (first.radius / np.maximum(b.radius, tiny))[:, None] for b in others if b]
    return replace(first, weights=np.max([first.weights, *relative], axis=0))


def _smallest(affine: Affine, own: Matrix) -> Matrix:
    """Smallest bound of each row over the positions that share the row, (rows,).

    A phi that pools has states of another shape; their bound is constant, by substitution.
    """
    if own.shape != affine.shape:
        return np.full(affine.rows, float(own.min()))
    return np.moveaxis(own, affine.row_axis, 0).reshape(affine.rows, -1).min(axis=1)


def _reach(term: Term, scaling: Scaling) -> Matrix:
    """Largest |L| s over the positions for each feature of a term; zero where it reads an input."""
    if term.source not in scaling:
        return np.zeros(1 if term.weight is None else weight_shape(term.weight)[1])
    s = absolute_features(term.maps, scaling[term.source])
    return s.reshape(len(s), -1).max(axis=1)


def with_rows(affine: Affine, parts: Sequence[tuple[NDArray[np.floating], Matrix]]) -> Affine:
    """The block with new weights and biases, one pair for each row group.

    Values are cast to float32 here, the precision that artifact and runtime hold. Where the network has no
    bias and no row got one, there is none.
    """
    if not parts:
        return affine
    dense = [np.zeros(weight_shape(w), np.float32) for w in affine.weights]
    bias = np.zeros(affine.rows, np.float32)
    for group, (W, b) in zip(row_groups(affine), parts, strict=True):
        bias[group.rows] = b
        start = 0
        for weight, part in zip(dense, group.features, strict=True):
            weight[group.rows, part] = W[:, start : start + part.stop - part.start]
            start += part.stop - part.start
    fresh = iter(dense)
    new = tuple(
        t if t.weight is None else replace(t, weight=sparse.csr_array(next(fresh))) for t in affine.terms
    )
    return replace(affine, terms=new, bias=bias if affine.bias is not None or bias.any() else None)
