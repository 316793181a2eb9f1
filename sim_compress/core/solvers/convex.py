"""A penalty and a constraint set that the user writes as cvxpy expressions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cvxpy import Constraint, Expression


def _everywhere(_v: "Expression") -> "Sequence[Constraint | bool]":
    return []


@dataclass(frozen=True)
class Convex:
    """Any convex f and C of one row in standard coordinates; the conic solvers take it as a penalty.

    Attributes:
        f: v (features,) -> convex scalar expression.
        C: v -> constraints, as cvxpy's comparisons give them.
    """

    f: "Callable[[Expression], Expression]"
    C: "Callable[[Expression], Sequence[Constraint | bool]]" = _everywhere
