"""Solvers by name: one signature, one vocabulary of outcomes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sim_compress.core.solution import Solution
from sim_compress.core.solvers import conic, exact
from sim_compress.core.solvers.backends import BACKENDS, usable
from sim_compress.core.solvers.certified import solve_certified
from sim_compress.errors import InputError

NATIVE = "native"
NAMES = (NATIVE, *BACKENDS)


@dataclass(frozen=True)
class Solver:
    """One way to solve row problems.

    Attributes:
        name: one of NAMES.
        solve: relaxed matching, `solve_certified` or `conic.solve` of this back end.
        match: exact matching, `exact.match` or `conic.match` of this back end.
    """

    name: str
    solve: Callable[..., Solution]
    match: Callable[..., Solution]


def solver(name: str) -> Solver:
    """A solver that can be used here.

    Raises:
        InputError: no solver of that name.
        MissingExtraError: its package is not installed.
        SolverError: it has no licence; the message says where it was looked for.
    """
    if name == NATIVE:
        return Solver(name, solve_certified, exact.match)
    if name not in BACKENDS:
        raise InputError(f"unknown solver {name!r}; choose one of {', '.join(NAMES)}")
    usable(name)
    return Solver(name, partial(conic.solve, name), partial(conic.match, name))
