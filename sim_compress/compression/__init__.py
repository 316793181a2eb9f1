"""Compression of a teacher: settings, checks and the pipeline that sees every stage."""

from sim_compress.compression.appraisal import Finding
from sim_compress.compression.checks import check_calibration, check_engine, check_exact, weights_to_keep
from sim_compress.compression.costs import GramCosts, gram_costs
from sim_compress.compression.patterns import CHANNELS, UNSTRUCTURED, pattern_of
from sim_compress.compression.pipeline import STAGES, Compressed, Progress, compress
from sim_compress.compression.prepared import KERNELS, Prepared, prepared
from sim_compress.compression.scope import Part, parts
from sim_compress.compression.settings import (
    ALLOCATIONS,
    AUGMENTS,
    MATCHINGS,
    OBJECTIVES,
    STATES,
    SUPPORTS,
    Settings,
)
from sim_compress.compression.trade_off import Found, LevelProgress, Tried, sparsest, sweep
from sim_compress.compression.unused import Deciding, unused

__all__ = [
    "ALLOCATIONS",
    "AUGMENTS",
    "CHANNELS",
    "KERNELS",
    "MATCHINGS",
    "OBJECTIVES",
    "STAGES",
    "STATES",
    "SUPPORTS",
    "UNSTRUCTURED",
    "Compressed",
    "Deciding",
    "Finding",
    "Found",
    "GramCosts",
    "LevelProgress",
    "Part",
    "Prepared",
    "Progress",
    "Settings",
    "Tried",
    "check_calibration",
    "check_engine",
    "check_exact",
    "compress",
    "gram_costs",
    "parts",
    "pattern_of",
    "prepared",
    "sparsest",
    "sweep",
    "unused",
    "weights_to_keep",
]
