"""The fixed point of a loop, x = phi(Ax + Bu), with a residual and a count of iterations for each sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import ConvergenceError
from sim_compress.model.maps import Array
from sim_compress.runtime.anderson import Mixing

# Iterations before Anderson mixing begins: a fast contraction is done without it.
PLAIN_ITERATIONS = 10


@dataclass(frozen=True)
class Tolerance:
    """When a fixed point counts as reached.

    Attributes:
        residual: largest |x - phi(Ax + Bu)| of a sample, relative to 1 + its largest state.
        iterations: after so many a sample that has not converged is an error.
    """

    residual: float = 1e-5
    iterations: int = 1000


@dataclass(frozen=True, eq=False)
class Convergence:
    """How each sample of a batch came to its equilibrium.

    Attributes:
        iterations: evaluations of the slowest loop.
        residuals: largest relative residual of any loop.
        converged: whether the tolerance was met.
    """

    iterations: NDArray[np.int64]
    residuals: NDArray[np.float32]
    converged: NDArray[np.bool_]

    def joined(self, other: "Convergence | None") -> "Convergence":
        """With that of another loop over the same samples."""
        if other is None:
            return self
        return Convergence(
            np.maximum(self.iterations, other.iterations),
            np.fmax(self.residuals, other.residuals),
            self.converged & other.converged,
        )

    @classmethod
    def concatenated(cls, parts: Sequence["Convergence"]) -> "Convergence":
        """Of a batch that was cut into parts."""
        return cls(
            np.concatenate([p.iterations for p in parts]),
            np.concatenate([p.residuals for p in parts]),
            np.concatenate([p.converged for p in parts]),
        )

    def check(self, tolerance: Tolerance) -> None:
        """Refuse samples that are not at their equilibrium.

        Raises:
            ConvergenceError: with how many, the first and its residual.
        """
        late = np.flatnonzero(~self.converged)
        if len(late):
            raise ConvergenceError(
                f"{len(late)} of {len(self.converged)} samples did not reach their equilibrium in "
                f"{tolerance.iterations} iterations (first: sample {late[0]}, residual "
                f"{self.residuals[late[0]]:.3g}, asked {tolerance.residual:.3g}): allow more iterations or "
                "compress with a smaller kappa"
            )


def solve(
    step: Callable[[Array], Array], size: int, samples: int, tolerance: Tolerance
) -> tuple[Array, Convergence]:
    """States of a loop at their fixed point.

    Picard iteration, with Anderson mixing where it is slow. Each sample stops by itself: what it gets
    does not depend on the others in its batch.

    Args:
        step: states (size, samples) -> phi(Ax + Bu) of the same shape.

    Returns:
        The states (size, samples), for samples that did not converge the last ones, and how it went.
    """
    x = np.zeros((size, samples), np.float32)
    found = np.zeros_like(x)
    iterations = np.full(samples, tolerance.iterations)
    residuals = np.full(samples, np.inf, np.float32)
    waiting = np.ones(samples, bool)
    mixing = Mixing(size, samples)
    for count in range(1, tolerance.iterations + 1):
        updated = step(x)
        change = _change(x, updated)
        found[:, waiting], residuals[waiting] = updated[:, waiting], change[waiting]
        iterations[waiting] = count
        # A NaN is no convergence.
        waiting &= ~(change <= tolerance.residual)
        if not waiting.any():
            break
        x = updated if count < PLAIN_ITERATIONS else mixing.next(x, updated, change)
    return found, Convergence(iterations, residuals, ~waiting)


def _change(old: Array, new: Array) -> Array:
    """Relative change of each sample."""
    return np.abs(new - old).max(axis=0, initial=0) / (1 + np.abs(new).max(axis=0, initial=0))
