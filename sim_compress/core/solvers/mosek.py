"""MOSEK: what it is asked for, and a licence that is tried before any work.

Only MOSEK itself can say whether a licence holds: it may be of an older version, expired, or with a server
that is down. One tiny problem is solved in a process of its own: nothing else ends a wait for a server.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from sim_compress.errors import SolverError

LICENCE_VARIABLE = "MOSEKLM_LICENSE_FILE"
# Seconds; MOSEK 11.2 itself waits 20 for a server that takes the connection and never answers.
PATIENCE = 30.0
# The cones that the perspective needs; the last line of output is MOSEK's reason.
TRIAL = """\
import cvxpy as cp
v = cp.Variable(2)
try:
    cp.Problem(cp.Minimize(cp.norm2(v - 1))).solve(solver="MOSEK")
except Exception as error:
    raise SystemExit(" ".join(str(error).split()) or type(error).__name__)
"""


def options(tolerance: float) -> Mapping[str, Any]:
    """Keyword arguments of cvxpy's `solve` for a tolerance."""
    names = ("REL_GAP", "PFEAS", "DFEAS")
    cone = {f"MSK_DPAR_INTPNT_CO_TOL_{name}": tolerance for name in names}
    return {"mosek_params": cone | {f"MSK_DPAR_INTPNT_QO_TOL_{name}": tolerance for name in names}}


def check() -> None:
    """Raise SolverError without the package, or where no licence is found or MOSEK does not accept it."""
    if importlib.util.find_spec("mosek") is None:
        raise _refusal("package 'mosek' not installed (pip install 'sim-compress[mosek]')")
    # The variable may list several files, or name a licence server as port@host.
    if not _default().is_file() and not any("@" in p or Path(p).is_file() for p in _places()):
        raise _refusal("no licence")
    if reason := _tried(os.environ.get(LICENCE_VARIABLE), str(_default())):
        raise _refusal(reason)


def errors() -> tuple[type[Exception], ...]:
    """What MOSEK raises past cvxpy, as where its licence ends in the middle of a run."""
    return (import_module("mosek").Error,)


@lru_cache
def _tried(*_licences: str | None) -> str | None:
    """Why MOSEK does not solve the trial, None where it does; tried once for the same licences."""
    try:
        trial = subprocess.run(
            [sys.executable, "-c", TRIAL],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"its licence server did not answer within {PATIENCE:g} s"
    if trial.returncode == 0:
        return None
    last = trial.stderr.strip().splitlines()[-1:] or [f"a trial ended with exit code {trial.returncode}"]
    return last[0]


def _places() -> list[str]:
    return [p for p in os.environ.get(LICENCE_VARIABLE, "").split(os.pathsep) if p]


def _default() -> Path:
    return Path.home() / "mosek" / "mosek.lic"


def _refusal(reason: str) -> SolverError:
    looked = f"licences: {LICENCE_VARIABLE} ({':'.join(_places()) or 'not set'}) and {_default()}"
    return SolverError(f"MOSEK cannot be used: {reason}; {looked}; use the solver 'clarabel' or 'native'")
