"""Picard iteration on the blocks of one loop, with a residual for each sample."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim_compress.errors import ConvergenceError
from sim_compress.model import StateBlock
from sim_compress.model.maps import Array
from sim_compress.runtime.kernels import preactivation


@dataclass(frozen=True)
class Tolerance:
    """When a fixed point counts as reached.

    Attributes:
        residual: largest |x - phi(Ax + Bu)| of a sample, relative to 1 + its largest state.
        iterations: after so many a sample that has not converged is an error.
    """

    residual: float = 1e-5
    iterations: int = 1000


def picard(
    blocks: tuple[StateBlock, ...], values: Mapping[str, Array], tolerance: Tolerance
) -> dict[str, Array]:
    """States of a loop at their fixed point; block name -> (*shape, samples).

    Raises:
        ConvergenceError: some sample did not converge, with how many and the largest residual.
    """
    samples = next(iter(values.values())).shape[-1]
    states = {b.name: np.zeros((*b.shape, samples), np.float32) for b in blocks}
    residual = np.full(samples, np.inf)
    for _ in range(tolerance.iterations):
        known = {**values, **states}
        updated = {b.name: b.phi(preactivation(b.affine, known)) for b in blocks}
        residual = np.max([_change(states[n], updated[n]) for n in states], axis=0)
        states = updated
        if np.all(residual <= tolerance.residual):
            return states
    late = np.flatnonzero(~(residual <= tolerance.residual))
    raise ConvergenceError(
        f"{len(late)} of {samples} samples did not reach their equilibrium in {tolerance.iterations} "
        f"iterations (first: sample {late[0]}, residual {residual[late[0]]:.3g}, "
        f"asked {tolerance.residual:.3g}): allow more iterations or compress with a smaller kappa"
    )


def _change(old: Array, new: Array) -> Array:
    """Relative change of each sample, NaN counted as no convergence."""
    axes = tuple(range(old.ndim - 1))
    return np.abs(new - old).max(axis=axes, initial=0) / (1 + np.abs(new).max(axis=axes, initial=0))
