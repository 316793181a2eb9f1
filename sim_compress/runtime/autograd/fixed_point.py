"""Loops in torch: the fixed point found without a graph, its gradients by implicit differentiation.

At x = f(x, theta) a gradient g with respect to x becomes the solution v of v = J^T v + g, J = df/dx, which
the same iteration finds; one more step of f then carries v to theta (Bai, Kolter and Koltun, Deep
Equilibrium Models, 2019, theorem 1). Memory does not grow with the iterations.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sim_compress.errors import InputError
from sim_compress.runtime.anderson import DAMPING, GROWTH, WINDOW
from sim_compress.runtime.fixed_point import PLAIN_ITERATIONS, Convergence, Tolerance

Step = Callable[[Tensor], Tensor]
# No iteration settles closer than some roundings of its dtype.
ROUNDINGS = 8


def fixed_point(step: Step, start: Tensor, tolerance: Tolerance) -> Tensor:
    """x = step(x), with gradients to everything that `step` reads.

    Args:
        step: states (samples, size) -> states of the same shape.
        start: the first states; their values alone matter.

    Raises:
        ConvergenceError: a sample did not converge, forwards or backwards.
    """
    with torch.no_grad():
        found = solve(step, start, tolerance)
    if not torch.is_grad_enabled():
        return found
    attached = step(found)
    if attached.requires_grad:
        attached.register_hook(lambda gradient: _adjoint(step, found, gradient, tolerance))
    return attached


def _adjoint(step: Step, found: Tensor, gradient: Tensor | None, tolerance: Tolerance) -> Tensor | None:
    """v = J^T v + gradient at a fixed point; torch gives None for a gradient that is zero everywhere.

    Raises:
        InputError: the gradient is wanted with a graph of its own.
    """
    if torch.is_grad_enabled():
        raise InputError("second derivatives through a loop are not available: leave out create_graph=True")
    if gradient is None:
        return None
    with torch.enable_grad():
        x = found.detach().requires_grad_()
        updated = step(x)
    # A loss averages over samples: in its own scale a gradient is not small.
    scale = gradient.abs().amax(1, keepdim=True)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    scaled = gradient / scale

    def advance(v: Tensor) -> Tensor:
        (product,) = torch.autograd.grad(updated, x, v, retain_graph=True)
        return product + scaled

    return solve(advance, scaled, tolerance) * scale


def solve(step: Step, start: Tensor, tolerance: Tolerance) -> Tensor:
    """Picard iteration with Anderson mixing where it is slow, as in `runtime.fixed_point`.

    Raises:
        ConvergenceError: a sample did not converge.
    """
    x = start.detach()
    samples, found = len(x), x.clone()
    asked = max(tolerance.residual, ROUNDINGS * torch.finfo(x.dtype).eps)
    residuals = x.new_full((samples,), torch.inf)
    iterations = torch.full((samples,), tolerance.iterations, device=x.device)
    waiting = torch.ones(samples, dtype=torch.bool, device=x.device)
    mixing = Mixing(x)
    for count in range(1, tolerance.iterations + 1):
        updated = step(x)
        change = _largest(updated - x) / (1 + _largest(updated))
        found = torch.where(waiting[:, None], updated, found)
        residuals = torch.where(waiting, change, residuals)
        iterations = torch.where(waiting, torch.full_like(iterations, count), iterations)
        # A NaN is no convergence.
        waiting = waiting & ~(change <= asked)
        if not waiting.any():
            return found
        x = updated if count < PLAIN_ITERATIONS else mixing.next(x, updated, change)
    _convergence(iterations, residuals, waiting).check(Tolerance(asked, tolerance.iterations))
    return found


def _largest(x: Tensor) -> Tensor:
    return x.abs().amax(1) if x.shape[1] else x.new_zeros(len(x))


def _convergence(iterations: Tensor, residuals: Tensor, waiting: Tensor) -> Convergence:
    return Convergence(
        iterations.cpu().numpy().astype(np.int64),
        residuals.float().cpu().numpy(),
        ~waiting.cpu().numpy(),
    )


class Mixing:
    """Anderson mixing of `runtime.anderson` on tensors (samples, size)."""

    def __init__(self, x: Tensor) -> None:
        samples, size = x.shape
        self._updates = x.new_zeros(samples, WINDOW, size)
        self._residuals = x.new_zeros(samples, WINDOW, size)
        self._best = x.new_full((samples,), torch.inf)
        self._last: tuple[Tensor, Tensor] | None = None
        self._count = 0

    def next(self, x: Tensor, updated: Tensor, change: Tensor) -> Tensor:
        """The next iterate from x, step(x) and the residual of each sample."""
        f = updated - x
        if self._last is not None:
            slot = self._count % WINDOW
            self._updates[:, slot], self._residuals[:, slot] = updated - self._last[0], f - self._last[1]
            self._count += 1
        self._last = updated, f
        worse = ~(change <= GROWTH * self._best)
        self._updates[worse] = 0
        self._residuals[worse] = 0
        self._best = torch.minimum(torch.where(worse, torch.inf, self._best), change)
        return updated - self._correction(f)

    def _correction(self, f: Tensor) -> Tensor:
        """The combination of updates whose residuals come closest to f."""
        # Half precision has no solver, and normal equations square the condition.
        R = self._residuals.to(torch.float64) if f.device.type != "mps" else self._residuals.float()
        normal = R @ R.mT
        scale = normal.diagonal(dim1=1, dim2=2).sum(1)
        damping = torch.where(scale > 0, DAMPING * scale, torch.ones_like(scale))
        normal = normal + damping[:, None, None] * torch.eye(WINDOW, dtype=R.dtype, device=R.device)
        weights = torch.linalg.solve(normal, R @ f.to(R.dtype)[:, :, None])
        return (weights * self._updates.to(R.dtype)).sum(1).to(f.dtype)
