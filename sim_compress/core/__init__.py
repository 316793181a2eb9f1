"""The numerical core: row problems from second moments, their solvers, supports and refits."""

from sim_compress.core.allocation import Allocation, Block, allocate
from sim_compress.core.gram import Gram
from sim_compress.core.penalties import L1, Penalty
from sim_compress.core.polish import polish
from sim_compress.core.problems import RowProblems, standardise
from sim_compress.core.refit import refit
from sim_compress.core.solution import Ball, Solution, Status
from sim_compress.core.solvers.coordinate_descent import solve

__all__ = [
    "L1",
    "Allocation",
    "Ball",
    "Block",
    "Gram",
    "Penalty",
    "RowProblems",
    "Solution",
    "Status",
    "allocate",
    "polish",
    "refit",
    "solve",
    "standardise",
]
