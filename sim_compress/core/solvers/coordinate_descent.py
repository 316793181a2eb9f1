"""The native solver: cyclic coordinate descent on the Gram, rows in parallel, stopped on the duality gap.

Each row keeps its gradient q = Hv - g; one coordinate's exact minimiser is a prox, and moving it adds one
column of H to q. The kappa constraint enters by its multiplier tau: tau * ball_j |v_j| joins the penalty
and tau is the root at which the row meets its radius, so zeros come from the prox alone.
"""

import numba
import numpy as np

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import Ball, Solution, Status

# Bisection steps on the multiplier: the bracket shrinks by 2^-60, below float64 resolution of the radius.
BISECTIONS = 60
# Solves inside the bisection stop at this part of the asked gap.
INNER = 1e-3
# A full pass that moves no coordinate by more than this is converged to float64, whatever the gap resolves.
STILL = 1e-12


def solve(
    problems: RowProblems,
    penalty: Penalty,
    alpha: float,
    *,
    ball: Ball | None = None,
    start: Matrix | None = None,
    tolerance: float = 1e-4,
    sweeps: int = 1000,
) -> Solution:
    """Minimise every row's objective.

    Args:
        problems: the rows of one block.
        penalty: P.
        alpha: weight of the penalty.
        ball: the kappa constraint, none if the block reads no state.
        start: rows to start from, (rows, features); the solution at a nearby alpha saves most sweeps.
        tolerance: stop a row when its duality gap is below this part of c.
        sweeps: at most so many passes over a row's coordinates.
    """
    V = np.zeros_like(problems.g) if start is None else start.copy()
    if ball is None:
        ball = Ball(np.zeros_like(V), np.full(len(V), np.inf))
    multiplier, gap = np.zeros(len(V)), np.zeros(len(V))
    _rows(
        problems.H,
        problems.g,
        problems.c,
        V,
        alpha,
        penalty.knee,
        ball.weights,
        ball.radius,
        tolerance,
        sweeps,
        multiplier,
        gap,
    )
    status = tuple(Status.OPTIMAL if g <= tolerance else Status.SWEEPS for g in gap)
    return Solution(V, multiplier, gap, status)


@numba.njit(cache=True)
def _prox(u: float, step: float, knee: float, extra: float) -> float:
    """argmin of 1/2 (v - u)^2 + step P(v) + extra |v|."""
    size = abs(u) - extra
    shrunk = size - step
    if shrunk <= 0.0:
        return 0.0
    if shrunk > knee:
        shrunk = size / (1.0 + step / knee)
    return shrunk if u > 0.0 else -shrunk


@numba.njit(cache=True)
def _sweep(H, q, v, alpha, knee, weights, tau, active_only):
    """One pass over the coordinates; the largest move, in units of one feature's deviation."""
    largest = 0.0
    for j in range(len(v)):
        curvature = H[j, j]
        if curvature <= 0.0 or (active_only and v[j] == 0.0):
            continue
        u = v[j] - q[j] / curvature
        moved = _prox(u, alpha / curvature, knee, tau * weights[j] / curvature) - v[j]
        if moved != 0.0:
            v[j] += moved
            column = H[j]
            for i in range(len(v)):
                q[i] += moved * column[i]
            largest = max(largest, abs(moved))
    return largest


@numba.njit(cache=True)
def _gap(q, g, c, v, alpha, knee, weights, tau):
    """Primal minus dual objective at v, tau * ball_j |v_j| in the penalty; dual point from the residual.

    With an infinite knee (l1) the residual is scaled into the dual feasible set; a finite knee has a
    finite conjugate everywhere and needs no scaling.
    """
    vHv = gv = penalty = excess = norm = 0.0
    for j in range(len(v)):
        size = abs(v[j])
        vHv += v[j] * (q[j] + g[j])
        gv += g[j] * v[j]
        penalty += size if size <= knee else (size * size / knee + knee) / 2.0
        norm += weights[j] * size
        excess = max(excess, abs(q[j]) / max(alpha + tau * weights[j], 1e-300))
    shrink = 1.0 if (knee < np.inf or excess <= 1.0) else 1.0 / excess
    conjugate = 0.0
    if knee < np.inf:
        for j in range(len(v)):
            over = abs(q[j]) - tau * weights[j]
            if over > alpha:
                conjugate += knee * (over * over / alpha - alpha) / 2.0
    residual = c - 2.0 * gv + vHv
    primal = 0.5 * residual + alpha * penalty + tau * norm
    dual = shrink * (c - gv) - 0.5 * shrink * shrink * residual - conjugate
    return primal - dual


@numba.njit(cache=True)
def _descend(H, q, g, c, v, alpha, knee, weights, tau, tolerance, sweeps):
    """Sweeps until the gap is small: passes over the active coordinates between full ones."""
    gap = np.inf
    done = 0
    while done < sweeps:
        full = _sweep(H, q, v, alpha, knee, weights, tau, False)
        gap = _gap(q, g, c, v, alpha, knee, weights, tau)
        done += 1
        if gap <= 0.5 * tolerance * c or full <= STILL:
            break
        for _ in range(10):
            done += 1
            if _sweep(H, q, v, alpha, knee, weights, tau, True) <= 0.1 * full:
                break
    return gap


@numba.njit(cache=True, parallel=True)
def _rows(H, G, C, V, alpha, knee, weights, radius, tolerance, sweeps, multiplier, gaps):
    """Every row by itself; the thread that solves a row does not change its result."""
    for r in numba.prange(len(G)):
        v, g, w = V[r], G[r], weights[r]
        if C[r] <= 0.0:
            v[:] = 0.0
            continue
        q = H @ v - g
        tau = 0.0
        gap = _descend(H, q, g, C[r], v, alpha, knee, w, tau, tolerance, sweeps)
        if np.sum(w * np.abs(v)) > radius[r]:
            # The norm moves with the root of the gap: the bracket needs it far more exactly.
            exact = INNER * tolerance
            low, high = 0.0, np.max(np.abs(g) / np.maximum(w, 1e-300) * (w > 0.0))
            for _ in range(BISECTIONS):
                tau = 0.5 * (low + high)
                gap = _descend(H, q, g, C[r], v, alpha, knee, w, tau, exact, sweeps)
                norm = np.sum(w * np.abs(v))
                if norm > radius[r]:
                    low = tau
                else:
                    high = tau
                    if tau * (radius[r] - norm) <= 0.1 * tolerance * C[r]:
                        break
            tau = high
            gap = _descend(H, q, g, C[r], v, alpha, knee, w, tau, exact, sweeps)
            # The bracket's feasible end may have moved by rounding; scaling keeps zeros and feasibility.
            v *= min(1.0, radius[r] / np.sum(w * np.abs(v)))
            gap = _gap(H @ v - g, g, C[r], v, alpha, knee, w, tau)
            gap += tau * (radius[r] - np.sum(w * np.abs(v)))
        multiplier[r] = tau
        gaps[r] = gap / C[r]
