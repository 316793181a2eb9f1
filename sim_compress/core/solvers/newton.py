"""Newton steps on the coordinates that are not zero, where the objective is smooth.

With signs and sides of the knee fixed the objective is quadratic, its second derivative H + D on the
active set (D = alpha / knee beyond the knee, zero before it). Of two equivalent Cholesky factors the
smaller is taken: of H + D on the active set, or, from the inverse of H that all rows share, of the order
of the coordinates that are zero or beyond the knee.
"""

import numpy as np

from sim_compress.compilation import inlined, part
from sim_compress.core.solvers.cholesky import solve_on, submatrix
from sim_compress.core.solvers.cost import price, value
from sim_compress.core.solvers.descent import add_product, nonzero

# Added to the active set's diagonal. Steps start from the gradient, so it slows none and moves no optimum;
# without it a singular active set has no step.
RIDGE = 1e-10
# A move that does not help by where its first coordinate meets zero is halved so often, then given up.
HALVINGS = 8


@part
def step(shared, q, v, cost) -> bool:
    """One step on the active coordinates; updates v and q = Hv - g, and never raises the objective.

    Returns:
        Whether the step ended early where a coordinate met zero: the next one goes on without it.
    """
    descent = np.zeros(len(v))
    for j in range(len(v)):
        if v[j] != 0.0:
            descent[j] = -slope_of(q, v, cost, j)
    move = solve_active(shared, v, cost, descent)
    product = np.zeros(len(v))
    add_product(shared.H, product, move)
    return move_within(shared, q, v, cost, move, product)


@part
def move_within(shared, q, v, cost, move, product) -> bool:
    """Take a move of the active coordinates as far as it helps; product is H times the move.

    Returns:
        Whether the move ended early where a coordinate met zero.
    """
    if not _kinked(v, move, cost.knee):
        for j in range(len(v)):
            v[j] += move[j]
            q[j] += product[j]
        return False
    return _search(shared, q, v, cost, move, product)


@inlined
def slope_of(q, v, cost, j):
    """Derivative of the objective in an active coordinate."""
    size = abs(v[j])
    slope = (size / cost.knee if size > cost.knee else 1.0) * cost.alpha + price(cost, j)
    return q[j] + slope if v[j] > 0.0 else q[j] - slope


@inlined
def _kinked(v, move, knee) -> bool:
    """Whether the move takes a coordinate over zero or over the knee."""
    for j in range(len(v)):
        fresh = v[j] + move[j]
        if v[j] * fresh < 0.0 or (abs(fresh) > knee) != (abs(v[j]) > knee):
            return True
    return False


@part
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
    meets = _meetings(v, move)
    left, taken_part, halvings = len(meets), 1.0, 0
    best, best_part = 0.0, 0.0
    best_move, best_product = np.zeros(len(v)), np.zeros(len(v))
    before = value(v, cost)
    while halvings < HALVINGS:
        taken, held, product, after = np.empty(len(v)), np.zeros(len(v)), np.empty(len(v)), np.empty(len(v))
        for j in range(len(v)):
            taken[j], product[j] = taken_part * move[j], taken_part * whole[j]
            if v[j] * move[j] < 0.0 and -v[j] / move[j] <= taken_part:
                held[j], taken[j] = -v[j] - taken[j], -v[j]
            after[j] = v[j] + taken[j]
        # Few coordinates are held, so few columns of H are read again.
        add_product(shared.H, product, held)
        change = np.dot(q, taken) + 0.5 * np.dot(product, taken) + value(after, cost) - before
        if change >= best and best < 0.0:
            break
        if change < best:
            best, best_part, best_move, best_product = change, taken_part, taken, product
        if left > 0:
            left //= 2
            taken_part = meets[left]
        else:
            taken_part *= 0.5
            halvings += 1
    met = False
    for j in range(len(v)):
        v[j] += best_move[j]
        q[j] += best_product[j]
        met = met or (v[j] == 0.0 and best_move[j] != 0.0)
    return best_part < 1.0 and met


@inlined
def _meetings(v, move):
    """The parts of a move below 1 at which coordinates meet zero, ascending."""
    meets, count = np.empty(len(v)), 0
    for j in range(len(v)):
        if v[j] * move[j] < 0.0 and -v[j] / move[j] < 1.0:
            place = count
            while place > 0 and meets[place - 1] > -v[j] / move[j]:
                meets[place] = meets[place - 1]
                place -= 1
            meets[place] = -v[j] / move[j]
            count += 1
    return meets[:count]


@part
def solve_active(shared, v, cost, b):
    """(H + D)^-1 b on the active coordinates, zero elsewhere; b is zero there.

    Args:
        shared: H, its inverse and scratch.
        v, cost: which coordinates are active and which lie beyond the knee.
        b: (features,).
    """
    curvature = cost.alpha / cost.knee
    active, rest = nonzero(v), np.empty(len(v), np.int64)
    rests = 0
    for j in range(len(v)):
        if v[j] == 0.0 or _bent(v[j], cost.knee, curvature):
            rest[rests] = j
            rests += 1
    d, inverted = np.zeros(len(v)), len(shared.inverse) > 0 and len(active) > rests
    if inverted:
        add_product(shared.inverse, d, b)
        index, right, matrix = rest[:rests], -d, shared.inverse
    else:
        index, right, matrix = active, b, shared.H
    U = submatrix(matrix, index, shared.scratch)
    for i in range(len(index)):
        bent = v[index[i]] != 0.0 and _bent(v[index[i]], cost.knee, curvature)
        if inverted:
            U[i, i] += 1.0 / curvature if bent else 0.0
        else:
            U[i, i] += RIDGE + curvature if bent else RIDGE
    x = solve_on(U, index, right)
    if not inverted:
        return x
    add_product(shared.inverse, d, x)
    for j in range(len(v)):
        if v[j] == 0.0:
            d[j] = 0.0
    return d


@inlined
def _bent(entry, knee, curvature) -> bool:
    """Whether a coordinate that is not zero lies where the penalty is curved."""
    return abs(entry) > knee and curvature != 0.0
