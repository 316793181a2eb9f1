"""What cvxpy may call: each solver's options for a tolerance, and whether it can be used here."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sim_compress.core.solvers import mosek
from sim_compress.errors import MissingExtraError

# Solvers stop on residuals of their own scaling: asking them for less leaves our gap below the asked one.
MARGIN = 1e-4
TIGHTEST = 1e-11


@dataclass(frozen=True)
class Backend:
    """One solver behind cvxpy.

    Attributes:
        name: as cvxpy spells it.
        options: keyword arguments of `problem.solve` for a tolerance.
        cones: whether it takes second-order cones, which the perspective needs.
        check: raises an error where the solver cannot be used.
        errors: what the solver raises that cvxpy lets pass.
    """

    name: str
    options: Callable[[float], Mapping[str, Any]]
    cones: bool = True
    check: Callable[[], None] = lambda: None
    errors: Callable[[], tuple[type[Exception], ...]] = lambda: ()


def _clarabel(tolerance: float) -> Mapping[str, Any]:
    return {"tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance}


def _scs(tolerance: float) -> Mapping[str, Any]:
    return {"eps_abs": tolerance, "eps_rel": tolerance, "max_iters": 100_000}


def _osqp(tolerance: float) -> Mapping[str, Any]:
    return {"eps_abs": tolerance, "eps_rel": tolerance, "max_iter": 100_000, "polishing": True}


BACKENDS = {
    "clarabel": Backend("CLARABEL", _clarabel),
    "scs": Backend("SCS", _scs),
    "osqp": Backend("OSQP", _osqp, cones=False),
    "mosek": Backend("MOSEK", mosek.options, check=mosek.check, errors=mosek.errors),
}


def usable(name: str) -> Backend:
    """A back end that can be used here.

    Raises:
        MissingExtraError: cvxpy or the solver's package is not installed.
        SolverError: the solver has no licence.
    """
    if importlib.util.find_spec("cvxpy") is None:
        raise MissingExtraError("cvxpy", "conic", f"The solver {name!r}")
    backend = BACKENDS[name]
    backend.check()
    return backend


def inner_tolerance(tolerance: float) -> float:
    """What a back end is asked for so that the duality gap of its rows is below a tolerance."""
    return max(MARGIN * tolerance, TIGHTEST)
