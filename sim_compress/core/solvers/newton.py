"""Newton steps on the coordinates that are not zero, where the objective is smooth.

With signs and sides of the knee fixed the objective is quadratic, its second derivative H + D on the
active set (D = alpha / knee beyond the knee, zero before it). Of two equivalent Cholesky factors the
smaller is taken: of H + D on the active set, or, from the inverse of H that all rows share, of the order
of the coordinates that are zero or beyond the knee.
"""

import numpy as np

from sim_compress.compilation import kernel
from sim_compress.core.solvers.cholesky import solve_on, submatrix
from sim_compress.core.solvers.cost import price, value
from sim_compress.core.solvers.descent import add_product

# Added to the active set's diagonal. Steps start from the gradient, so it slows none and moves no optimum;
# without it a singular active set has no step.
RIDGE = 1e-10
# A move that does not help by where its first coordinate meets zero is halved so often, then given up.
HALVINGS = 8


@kernel
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
    if not _kinked(v, move, cost.knee):
        v += move
        q += product
        return False
    return _search(shared, q, v, cost, move, product)


@kernel
def _gradient(q, v, cost, j):
    """Derivative of the objective in an active coordinate."""
    size = abs(v[j])
    slope = (size / cost.knee if size > cost.knee else 1.0) * cost.alpha + price(cost, j)
    return q[j] + slope if v[j] > 0.0 else q[j] - slope


@kernel
def _kinked(v, move, knee) -> bool:
    """Whether the move takes a coordinate over zero or over the knee."""
    for j in range(len(v)):
        fresh = v[j] + move[j]
        if v[j] * fresh < 0.0 or (abs(fresh) > knee) != (abs(v[j]) > knee):
            return True
    return False


@kernel
def _search(shared, q, v, cost, move, whole) -> bool:
    """Take the best found part of a move, with coordinates held where they meet zero.

    The parts end where half, a quarter, ... of those coordinates have met it: with dependent columns active
    the move is huge and only its very beginning helps.

    Args:
        shared, q, v, cost: as for `step`.
        move: of the active coordinates.
        whole: H times the move.

    Returns:
        Whether the part was a true part that brought a coordinate to zero.
    """
    meets = np.full(len(v), np.inf)
    for j in range(len(v)):
        if v[j] * move[j] < 0.0:
            meets[j] = -v[j] / move[j]
    order = np.argsort(meets)
    left, part, halvings = int(np.sum(meets < 1.0)), 1.0, 0
    best, best_part = 0.0, 0.0
    best_move, best_product = np.zeros(len(v)), np.zeros(len(v))
    while halvings < HALVINGS:
        taken = np.where(meets <= part, -v, part * move)
        # Few coordinates are held, so few columns of H are read again.
        product = part * whole
        add_product(shared.H, product, taken - part * move)
        change = np.dot(q, taken) + 0.5 * np.dot(product, taken) + value(v + taken, cost) - value(v, cost)
        if change >= best and best < 0.0:
            break
        if change < best:
            best, best_part, best_move, best_product = change, part, taken, product
        if left > 0:
            left //= 2
            part = meets[order[left]]
        else:
            part *= 0.5
            halvings += 1
    v += best_move
    q += best_product
    return bool(best_part < 1.0 and np.any((v == 0.0) & (best_move != 0.0)))


@kernel
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
