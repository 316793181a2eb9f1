"""Evaluates implicit models: numpy and scipy alone, or compiled by numba."""

from sim_compress.runtime.fixed_point import Convergence, Tolerance
from sim_compress.runtime.kernel import numpy_blocks
from sim_compress.runtime.kernels import preactivation, term_value
from sim_compress.runtime.labels import check_labels, is_scores
from sim_compress.runtime.reference import equilibrium
from sim_compress.runtime.samples import (
    Checked,
    check_inputs,
    check_samples,
    checked,
    digest,
    id_limits,
    id_ranges,
    named,
    parts,
)
from sim_compress.runtime.schedule import Stage, schedule
from sim_compress.runtime.session import Session, Solution
from sim_compress.runtime.step_time import StepTime
from sim_compress.runtime.torch_module import torch_module

__all__ = [
    "Checked",
    "Convergence",
    "Session",
    "Solution",
    "Stage",
    "StepTime",
    "Tolerance",
    "check_inputs",
    "check_labels",
    "check_samples",
    "checked",
    "digest",
    "equilibrium",
    "id_limits",
    "id_ranges",
    "is_scores",
    "named",
    "numpy_blocks",
    "parts",
    "preactivation",
    "schedule",
    "term_value",
    "torch_module",
]
