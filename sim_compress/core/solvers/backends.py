"""What cvxpy may call: each solver's options for a tolerance, and whether it can be used here."""

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim_compress.errors import MissingExtraError, SolverError

# Solvers stop on residuals of their own scaling: asking them for less leaves our gap below the asked one.
MARGIN = 1e-4
TIGHTEST = 1e-11
LICENCE_VARIABLE = "MOSEKLM_LICENSE_FILE"


@dataclass(frozen=True)
class Backend:
    """One solver behind cvxpy.

    Attributes:
        name: as cvxpy spells it.
        options: keyword arguments of `problem.solve` for a tolerance.
        cones: whether it takes second-order cones, which the perspective needs.
        check: raises an error where the solver cannot be used.
    """

    name: str
    options: Callable[[float], Mapping[str, Any]]
    cones: bool = True
    check: Callable[[], None] = lambda: None


def _clarabel(tolerance: float) -> Mapping[str, Any]:
    return {"tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance}


def _scs(tolerance: float) -> Mapping[str, Any]:
    return {"eps_abs": tolerance, "eps_rel": tolerance, "max_iters": 100_000}


def _osqp(tolerance: float) -> Mapping[str, Any]:
    return {"eps_abs": tolerance, "eps_rel": tolerance, "max_iter": 100_000, "polishing": True}


def _mosek(tolerance: float) -> Mapping[str, Any]:
    names = ("REL_GAP", "PFEAS", "DFEAS")
    cone = {f"MSK_DPAR_INTPNT_CO_TOL_{name}": tolerance for name in names}
    return {"mosek_params": cone | {f"MSK_DPAR_INTPNT_QO_TOL_{name}": tolerance for name in names}}


def _check_mosek() -> None:
    """SolverError without the package, or without a licence where MOSEK would look for one."""
    installed = importlib.util.find_spec("mosek") is not None
    default = Path.home() / "mosek" / "mosek.lic"
    # The variable may list several files, or name a licence server as port@host.
    places = [p for p in os.environ.get(LICENCE_VARIABLE, "").split(os.pathsep) if p]
    if installed and (default.is_file() or any("@" in p or Path(p).is_file() for p in places)):
        return
    looked = f"looked for a licence in {LICENCE_VARIABLE} ({':'.join(places) or 'not set'}) and {default}"
    missing = (
        "no licence" if installed else "package 'mosek' not installed (pip install 'sim-compress[mosek]')"
    )
    raise SolverError(f"MOSEK cannot be used: {missing}; {looked}; use the solver 'clarabel' or 'native'")


BACKENDS = {
    "clarabel": Backend("CLARABEL", _clarabel),
    "scs": Backend("SCS", _scs),
    "osqp": Backend("OSQP", _osqp, cones=False),
    "mosek": Backend("MOSEK", _mosek, check=_check_mosek),
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
