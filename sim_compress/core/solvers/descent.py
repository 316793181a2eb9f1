"""Cyclic coordinate descent on the Gram, four moves gathered into one update of the gradient."""

import numpy as np

from sim_compress.compilation import part
from sim_compress.core.solvers.cost import price, prox

# Moves that wait before the gradient is updated: one pass over it serves them all.
WAITING = 4


@part
def sweep(H, q, v, cost, columns) -> float:
    """One pass over some coordinates, each set to its exact minimiser; keeps q = Hv - g.

    Returns:
        The largest move, in units of one feature's deviation.
    """
    largest, waiting = 0.0, 0
    index, moves = np.zeros(WAITING, np.int64), np.zeros(WAITING)
    for j in columns:
        curvature = H[j, j]
        if curvature <= 0.0:
            continue
        slope = q[j]
        for k in range(waiting):
            slope += moves[k] * H[index[k], j]
        extra = price(cost, j)
        if v[j] == 0.0 and abs(slope) <= cost.alpha + extra:
            continue
        fresh = prox(v[j] - slope / curvature, cost.alpha / curvature, cost.knee, extra / curvature)
        move = fresh - v[j]
        if move != 0.0:
            v[j] = fresh
            index[waiting], moves[waiting] = j, move
            waiting += 1
            largest = max(largest, abs(move))
        if waiting == WAITING:
            add_columns(H, q, index, moves)
            waiting = 0
    moves[waiting:] = 0.0
    add_columns(H, q, index, moves)
    return largest


@part(fastmath={"contract"})
def add_columns(H, q, index, moves):
    """q += sum over four columns of H times their moves."""
    a, b, c, d = H[index[0]], H[index[1]], H[index[2]], H[index[3]]
    ma, mb, mc, md = moves[0], moves[1], moves[2], moves[3]
    for i in range(len(q)):
        q[i] += ma * a[i] + mb * b[i] + mc * c[i] + md * d[i]


@part
def assign(target, source):
    """target[:] = source, without the seconds that numba takes to compile the slice's error messages."""
    for j in range(len(target)):
        target[j] = source[j]


@part
def nonzero(v):
    """Places of the entries that are not zero."""
    places, count = np.empty(len(v), np.int64), 0
    for j in range(len(v)):
        if v[j] != 0.0:
            places[count] = j
            count += 1
    return places[:count]


@part
def add_product(H, q, v):
    """q += H v, by the columns where v is not zero."""
    index, moves, waiting = np.zeros(WAITING, np.int64), np.zeros(WAITING), 0
    for j in range(len(v)):
        if v[j] != 0.0:
            index[waiting], moves[waiting] = j, v[j]
            waiting += 1
        if waiting == WAITING:
            add_columns(H, q, index, moves)
            waiting = 0
    moves[waiting:] = 0.0
    add_columns(H, q, index, moves)
