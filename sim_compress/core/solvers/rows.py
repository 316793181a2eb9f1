"""The kernel of paths and solutions: rows of a block, each down its alphas."""

from typing import Any

import numpy as np
from numba import types

from sim_compress.compilation import inlined, kernel
from sim_compress.core.solution import FORBIDDEN
from sim_compress.core.solvers.ball import minimise_within, norm
from sim_compress.core.solvers.cholesky import scratch_size
from sim_compress.core.solvers.cost import Cost, Shared, value
from sim_compress.core.solvers.descent import add_product, assign, nonzero
from sim_compress.core.solvers.minimiser import Stop, minimise

# From zero, alpha falls by this factor a stage, down to the asked one or to SMALLEST, each to a ROUGH gap.
STAGE, SMALLEST, ROUGH = 0.5, 1e-7, 0.1
# For who does not ask for supports.
UNPACKED = np.zeros((0, 0, 0), np.uint8)


@kernel
def solve_rows(
    first, stop_row, H, inverse, G, C, V, alphas, knee, weights, radius, stop, multiplier, packed, staged
):
    """Minimise rows first:stop_row at one alpha after the other, each from where the one before ended.

    One function for all uses: what takes long to compile, the minimiser, is in it once.

    Args:
        H, inverse: of all rows; the inverse may be empty.
        G, C: g and c of each row.
        V: the starts, (rows, features); the rows at the last alpha on return.
        alphas, knee: of the penalty, (steps,) and a number.
        weights, radius: each row's ball, (rows, features) and (rows,).
        stop: when a row is done; `absolute` is relative to its c.
        multiplier: of each row's ball, first guesses, (rows,); those at the last alpha on return.
        packed: takes the supports as bits, (steps, rows, bytes), or has no steps.
        staged: whether rows of zeros first go down stages of larger alphas.
    """
    for r in range(first, stop_row):
        shared = Shared(H, inverse, np.empty(scratch_size(len(H))))
        v, own = V[r], Stop(stop.relative, stop.absolute * C[r], stop.sweeps)
        if C[r] <= 0.0:
            for j in range(len(v)):
                v[j] = 0.0
            continue
        if staged and len(nonzero(v)) == 0:
            _start(shared, G[r], C[r], v, Cost(alphas[0], knee, weights[r], 0.0), radius[r], own)
        for k in range(len(alphas)):
            cost = Cost(alphas[k], knee, weights[r], multiplier[r])
            multiplier[r] = minimise_within(shared, G[r], C[r], v, cost, radius[r], own)
            if len(packed) > 0:
                for j in range(len(v)):
                    if v[j] != 0.0:
                        packed[k, r, j // 8] |= np.uint8(1 << (j % 8))


@inlined
def _start(shared, g, c, v, cost, radius, stop):
    """From the least-squares row where its objective is below that of zero, else down a path of alphas."""
    if len(shared.inverse) > 0:
        guess, slope = np.zeros(len(v)), np.zeros(len(v))
        add_product(shared.inverse, guess, g)
        for j in range(len(v)):
            if cost.weights[j] >= FORBIDDEN:
                guess[j] = 0.0
        add_product(shared.H, slope, guess)
        for j in range(len(v)):
            slope[j] = 0.5 * slope[j] - g[j]
        if np.dot(guess, slope) + value(guess, cost) < 0.0:
            assign(v, guess)
            return
    # Coordinates enter as alpha falls, so that few are active too early and have to leave again.
    largest = 0.0
    for j in range(len(v)):
        largest = max(largest, abs(g[j]))
    alpha = STAGE * largest
    while alpha > max(cost.alpha, SMALLEST) and norm(cost.weights, v) <= radius:
        rough = Stop(ROUGH, 0.0, stop.sweeps)
        minimise(shared, g, c, v, Cost(alpha, cost.knee, cost.weights, 0.0), rough)
        alpha *= STAGE


_NUMBER, _NUMBERS, _MATRIX = types.float64, types.float64[::1], types.float64[:, ::1]
# What a compression calls; other layouts are compiled when they come.
ENTRIES: dict[Any, tuple[Any, ...]] = {
    solve_rows: (
        *(types.int64, types.int64),
        *(_MATRIX, _MATRIX, _MATRIX, _NUMBERS, _MATRIX),
        *(_NUMBERS, _NUMBER, _MATRIX, _NUMBERS),
        types.NamedTuple((_NUMBER, _NUMBER, types.int64), Stop),
        *(_NUMBERS, types.uint8[:, :, ::1], types.boolean),
    ),
}
