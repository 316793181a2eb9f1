"""The numerical core: row problems from second moments, their solvers, supports and refits."""

from sim_compress.core.allocation import Allocation, Block, allocate, trace
from sim_compress.core.elimination import Elimination, Order, Reader, eliminate
from sim_compress.core.gram import Gram
from sim_compress.core.path import Path, path
from sim_compress.core.patterns import Projection, Quota, Tied, WithBias, largest
from sim_compress.core.penalties import L1, Penalty
from sim_compress.core.polish import polish
from sim_compress.core.problems import RowProblems, standardise
from sim_compress.core.refit import refit
from sim_compress.core.sharing import Curve, share
from sim_compress.core.solution import FORBIDDEN, Ball, Solution, Status
from sim_compress.core.solvers import Solver, solver
from sim_compress.core.solvers.certified import solve_certified
from sim_compress.core.solvers.convex import Convex
from sim_compress.core.solvers.native import solve

__all__ = [
    "FORBIDDEN",
    "L1",
    "Allocation",
    "Ball",
    "Block",
    "Convex",
    "Curve",
    "Elimination",
    "Gram",
    "Order",
    "Path",
    "Penalty",
    "Projection",
    "Quota",
    "Reader",
    "RowProblems",
    "Solution",
    "Solver",
    "Status",
    "Tied",
    "WithBias",
    "allocate",
    "eliminate",
    "largest",
    "path",
    "polish",
    "refit",
    "share",
    "solve",
    "solve_certified",
    "solver",
    "standardise",
    "trace",
]
