"""Compression of a teacher: settings, checks and the pipeline that sees every stage."""

from sim_compress.compression.checks import check_calibration, check_exact, weights_to_keep
from sim_compress.compression.pipeline import STAGES, Compressed, Progress, compress
from sim_compress.compression.scope import Part, parts
from sim_compress.compression.settings import (
    ALLOCATIONS,
    MATCHINGS,
    OBJECTIVES,
    STATES,
    SUPPORTS,
    Settings,
)

__all__ = [
    "ALLOCATIONS",
    "MATCHINGS",
    "OBJECTIVES",
    "STAGES",
    "STATES",
    "SUPPORTS",
    "Compressed",
    "Part",
    "Progress",
    "Settings",
    "check_calibration",
    "check_exact",
    "compress",
    "parts",
    "weights_to_keep",
]
