"""Cholesky factor and solves for one row's active set, four pivots and four rows at a time.

Rows run in parallel, one thread each: a threaded LAPACK call inside would fight the other rows for cores,
and its bits would depend on their number.
"""

import numpy as np

from sim_compress.compilation import inlined, part

# Pivots below this part of the unit diagonal are rounding: that column depends on those before it.
DEPENDENT = 1e-12
# Stands in for such a pivot: the column gets no weight.
HUGE = 1e100
# Order of the tile; callers pad matrices to a multiple of it with ones on the diagonal.
TILE = 4


@inlined
def padded(order: int) -> int:
    """The next multiple of TILE."""
    return (order + TILE - 1) // TILE * TILE


@inlined
def scratch_size(order: int) -> int:
    """Entries of scratch memory that hold the factor of a matrix of this order."""
    return padded(order) ** 2


@part(fastmath={"contract"})
def factor(U):
    """Upper factor of U'U in place; the order is a multiple of TILE, below the diagonal nothing is read."""
    order = len(U)
    for first in range(0, order, TILE):
        _factor_tile(U, first)
        p, q, r, s = U[first], U[first + 1], U[first + 2], U[first + 3]
        for i in range(first + TILE, order, TILE):
            a, b, c, d = U[i], U[i + 1], U[i + 2], U[i + 3]
            p0, p1, p2, p3 = p[i], p[i + 1], p[i + 2], p[i + 3]
            q0, q1, q2, q3 = q[i], q[i + 1], q[i + 2], q[i + 3]
            r0, r1, r2, r3 = r[i], r[i + 1], r[i + 2], r[i + 3]
            s0, s1, s2, s3 = s[i], s[i + 1], s[i + 2], s[i + 3]
            for j in range(i, order):
                pj, qj, rj, sj = p[j], q[j], r[j], s[j]
                a[j] -= p0 * pj + q0 * qj + r0 * rj + s0 * sj
                b[j] -= p1 * pj + q1 * qj + r1 * rj + s1 * sj
                c[j] -= p2 * pj + q2 * qj + r2 * rj + s2 * sj
                d[j] -= p3 * pj + q3 * qj + r3 * rj + s3 * sj


@part(fastmath={"contract"})
def _factor_tile(U, first):
    """Four pivots in turn, each applied to the rest of the four rows."""
    for p in range(first, first + TILE):
        pivot = U[p]
        root = pivot[p] ** 0.5 if pivot[p] > DEPENDENT else HUGE
        pivot[p] = root * root
        inverse = 1.0 / root
        for j in range(p, len(U)):
            pivot[j] *= inverse
        for i in range(p + 1, first + TILE):
            scale, row = pivot[i], U[i]
            for j in range(i, len(U)):
                row[j] -= scale * pivot[j]


@part(fastmath={"contract", "reassoc"})
def solve(U, b):
    """b <- (U'U)^-1 b in place."""
    order = len(b)
    for i in range(order):
        row = U[i]
        b[i] /= row[i]
        done = b[i]
        for j in range(i + 1, order):
            b[j] -= done * row[j]
    for i in range(order - 1, -1, -1):
        row = U[i]
        total = b[i]
        for j in range(i + 1, order):
            total -= row[j] * b[j]
        b[i] = total / row[i]


@part
def submatrix(H, index, scratch):
    """Upper triangle of H on an index, padded for the factor, in scratch memory."""
    order, full = len(index), padded(len(index))
    U = scratch[: full * full].reshape(full, full)
    for i in range(order):
        row = H[index[i]]
        for k in range(i, order):
            U[i, k] = row[index[k]]
        for k in range(order, full):
            U[i, k] = 0.0
    for i in range(order, full):
        for k in range(i, full):
            U[i, k] = 0.0
        U[i, i] = 1.0
    return U


@part
def solve_on(U, index, b):
    """U^-1 b on an index, zero elsewhere; U is lost."""
    part, x = np.zeros(len(U)), np.zeros(len(b))
    # Loops and not slices: numba compiles those, with their messages about shapes, for seconds.
    for i in range(len(index)):
        part[i] = b[index[i]]
    factor(U)
    solve(U, part)
    for i in range(len(index)):
        x[index[i]] = part[i]
    return x
