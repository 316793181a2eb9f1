"""What a solver returns: rows, how far they may be from optimal, and one status per row."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Matrix


class Status(Enum):
    """Outcome of one row problem; the value is the sentence the user reads."""

    OPTIMAL = "Solved to the asked duality gap."
    FALLBACK = "Solved by the conic solver, because the native one stopped above the asked gap."
    SWEEPS = "Stopped at its limit above the asked gap: allow more sweeps or raise the damping."
    INEXACT = "Stopped by its own limits above the asked gap: ask for a larger gap or use the native solver."
    MISMATCH = "No row in the constraints matches the states exactly: use relaxed matching or fewer samples."
    NO_ROOM = "The fixed terms alone exceed kappa, so no row satisfies it: raise kappa."
    FAILED = "The solver gave no row: try another solver or a larger alpha."


# The ball's weight of a feature that a row may not use: no multiplier is too small to keep it at zero.
FORBIDDEN = 1e200


@dataclass(frozen=True)
class Ball:
    """The kappa constraint of each row: sum_j weights_ij |v_ij| <= radius_i.

    Attributes:
        weights: (rows, features), not negative; zero for features that read inputs, FORBIDDEN for those
            that the row may not use.
        radius: (rows,); a negative one leaves no room for any row.
    """

    weights: Matrix
    radius: Matrix

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Where a row may be nonzero, (rows, features)."""
        return self.weights < FORBIDDEN


@dataclass(frozen=True)
class Solution:
    """Rows with their certificates of optimality.

    Attributes:
        rows: v in standard coordinates, (rows, features), with true zeros.
        multiplier: dual variable of each row's ball, (rows,); zero where it is inactive.
        gap: duality gap of each row relative to its objective, (rows,).
        status: outcome per row.
    """

    rows: Matrix
    multiplier: Matrix
    gap: Matrix
    status: tuple[Status, ...]

    @property
    def support(self) -> NDArray[np.bool_]:
        """Where the rows are not zero."""
        return self.rows != 0

    def with_status(self, where: NDArray[np.bool_], status: Status) -> "Solution":
        """The same rows with another status for some."""
        changed = (status if w else s for w, s in zip(where, self.status, strict=True))
        return replace(self, status=tuple(changed))

    def count(self, status: Status) -> int:
        """Rows with this outcome."""
        return self.status.count(status)
