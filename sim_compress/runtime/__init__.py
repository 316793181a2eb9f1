"""Evaluates implicit models with numpy and scipy alone."""

from sim_compress.runtime.fixed_point import Tolerance, picard
from sim_compress.runtime.kernels import preactivation, term_value
from sim_compress.runtime.samples import check_inputs, check_samples, digest, named, parts
from sim_compress.runtime.schedule import Stage, schedule
from sim_compress.runtime.session import Session

__all__ = [
    "Session",
    "Stage",
    "Tolerance",
    "check_inputs",
    "check_samples",
    "digest",
    "named",
    "parts",
    "picard",
    "preactivation",
    "schedule",
    "term_value",
]
