"""Compression of a teacher: settings, checks and the pipeline that sees every stage."""

from sim_compress.compression.allocation.counts import weights_to_keep
from sim_compress.compression.allocation.scope import Part, parts
from sim_compress.compression.appraisal.outputs import Finding
from sim_compress.compression.calibration.checks import check_calibration, check_exact
from sim_compress.compression.compressed import Compressed
from sim_compress.compression.memory import MemoryPlan, memory_plan
from sim_compress.compression.method import Method
from sim_compress.compression.methods import Deciding, method_of, unused
from sim_compress.compression.prepared import KERNELS, Prepared, prepared
from sim_compress.compression.resume import RunFolder
from sim_compress.compression.rows.patterns import CHANNELS, UNSTRUCTURED, pattern_of
from sim_compress.compression.runs import STAGES
from sim_compress.compression.settings import (
    ALLOCATIONS,
    AUGMENTS,
    MATCHINGS,
    OBJECTIVES,
    STATES,
    SUPPORTS,
    Paper,
    Settings,
)
from sim_compress.compression.single import compress
from sim_compress.compression.steps.costs import GramCosts, gram_costs
from sim_compress.compression.steps.target import Target
from sim_compress.compression.steps.walk import Progress
from sim_compress.compression.trade_off import Found, LevelProgress, Tried, sparsest, sweep

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
    "MemoryPlan",
    "Method",
    "Paper",
    "Part",
    "Prepared",
    "Progress",
    "RunFolder",
    "Settings",
    "Target",
    "Tried",
    "check_calibration",
    "check_exact",
    "compress",
    "gram_costs",
    "memory_plan",
    "method_of",
    "parts",
    "pattern_of",
    "prepared",
    "sparsest",
    "sweep",
    "unused",
    "weights_to_keep",
]
