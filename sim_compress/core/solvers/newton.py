"""Newton steps on the coordinates that are not zero, where the objective is smooth.

With signs and sides of the knee fixed the objective is quadratic, its second derivative H + D on the
active set (D = alpha / knee beyond the knee, zero before it). Of two equivalent Cholesky factors the
smaller is taken: of H + D on the active set, or, from the inverse of H that all rows share, of the order
of the coordinates that are zero or beyond the knee.
"""

import numba
import numpy as np

from sim_compress.core.solvers.cholesky import solve_on, submatrix
from sim_compress.core.solvers.cost import price, value
from sim_compress.core.solvers.descent import add_product

# Added to the active set's diagonal. Steps start from the gradient, so it slows none and moves no optimum;
# without it a singular active set has no step.
RIDGE = 1e-10


@numba.njit(cache=True)
def step(shared, q, v, cost) -> bool:
    """One step on the active coordinates; updates v and q = Hv - g, and never raises the objective.

    Returns:
        Whether the step ended early where a coordinate met zero: the next one goes on without it.
    """
    descent = np.zeros(len(v))
    for j in range(len(v)):
        if v[j] != 0.0:
            descent[j] = -_gradient(q, v, cost, j)
    move = solve_active(shared, v, cost, descent)
    product = np.zeros(len(v))
    add_product(shared.H, product, move)
    crossed, kinked = _crossings(v, move, cost.knee)
    if not kinked:
        v += move
        q += product
        return False
    part, stopped = _line_minimum(q, v, cost, move, product)
    change = _change(q, v, cost, part * move, part * product)
    if crossed:
        stop = np.where(v * (v + move) < 0.0, -v, move)
        stop_product = np.zeros(len(v))
        add_product(shared.H, stop_product, stop)
        if _change(q, v, cost, stop, stop_product) < change:
            v += stop
            q += stop_product
            return False
    if change < 0.0:
        v += part * move
        q += part * product
        if stopped >= 0:
            q -= v[stopped] * shared.H[stopped]
            v[stopped] = 0.0
    return change < 0.0 and stopped >= 0


@numba.njit(cache=True)
def _gradient(q, v, cost, j):
    """Derivative of the objective in an active coordinate."""
    size = abs(v[j])
    slope = (size / cost.knee if size > cost.knee else 1.0) * cost.alpha + price(cost, j)
    return q[j] + slope if v[j] > 0.0 else q[j] - slope


@numba.njit(cache=True)
def _crossings(v, move, knee):
    """Whether the move takes a coordinate to the other sign, and whether it crosses zero or the knee."""
    crossed = kinked = False
    for j in range(len(v)):
        fresh = v[j] + move[j]
        crossed = crossed or v[j] * fresh < 0.0
        kinked = kinked or (abs(fresh) > knee) != (abs(v[j]) > knee)
    return crossed, crossed or kinked


@numba.njit(cache=True)
def _change(q, v, cost, move, product) -> float:
    """By how much the move changes the objective."""
    return np.dot(q, move) + 0.5 * np.dot(product, move) + value(v + move, cost) - value(v, cost)


@numba.njit(cache=True)
def _line_minimum(q, v, cost, move, product):
    """Part of the move, in (0, 1], that minimises the objective; the coordinate it brings to zero or -1.

    The slope along the move grows: bisection over the points where a coordinate meets zero finds the last
    one that is still downhill.
    """
    meets = np.full(len(v), np.inf)
    for j in range(len(v)):
        if v[j] * move[j] < 0.0:
            meets[j] = -v[j] / move[j]
    order = np.argsort(meets)
    low, high = 0, int(np.sum(meets < 1.0))
    linear, square = np.dot(q, move), np.dot(product, move)
    while low < high:
        middle = (low + high) // 2
        if _slope(meets[order[middle]], linear, square, v, cost, move) < 0.0:
            low = middle + 1
        else:
            high = middle
    upper = meets[order[low]] if low < len(v) else np.inf
    lower = meets[order[low - 1]] if low > 0 else 0.0
    part = _root(lower, min(upper, 1.0), linear, square, v, cost, move)
    if part == upper:
        return part, order[low]
    return part, -1


@numba.njit(cache=True)
def _root(low, high, linear, square, v, cost, move) -> float:
    """Where the slope along the move vanishes between two points, or the upper one if it stays downhill."""
    if _slope(high * (1.0 - 1e-12), linear, square, v, cost, move) <= 0.0:
        return high
    for _ in range(40):
        middle = 0.5 * (low + high)
        if _slope(middle, linear, square, v, cost, move) < 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@numba.njit(cache=True)
def _slope(part, linear, square, v, cost, move) -> float:
    """Derivative of the objective along the move, taken just beyond a kink."""
    total = linear + part * square
    for j in range(len(v)):
        if move[j] != 0.0:
            fresh = v[j] + part * move[j]
            rate = max(abs(fresh) / cost.knee, 1.0) * cost.alpha + price(cost, j)
            beyond = fresh * move[j] > 0.0 or (v[j] * move[j] < 0.0 and part >= -v[j] / move[j])
            total += rate * abs(move[j]) if beyond else -rate * abs(move[j])
    return total


@numba.njit(cache=True)
def solve_active(shared, v, cost, b):
    """(H + D)^-1 b on the active coordinates, zero elsewhere; b is zero there.

    Args:
        shared: H, its inverse and scratch.
        v, cost: which coordinates are active and which lie beyond the knee.
        b: (features,).
    """
    curvature = cost.alpha / cost.knee
    size = np.abs(v)
    flat = (size > 0.0) & ((size <= cost.knee) | (curvature == 0.0))
    active = np.flatnonzero(size)
    rest = np.flatnonzero(~flat)
    if len(shared.inverse) == 0 or len(active) <= len(rest):
        U = submatrix(shared.H, active, shared.scratch)
        for i in range(len(active)):
            U[i, i] += RIDGE if flat[active[i]] else RIDGE + curvature
        return solve_on(U, active, b)
    d = np.zeros(len(b))
    add_product(shared.inverse, d, b)
    K = submatrix(shared.inverse, rest, shared.scratch)
    for i in range(len(rest)):
        if size[rest[i]] > 0.0:
            K[i, i] += 1.0 / curvature
    add_product(shared.inverse, d, solve_on(K, rest, -d))
    d[size == 0.0] = 0.0
    return d
