"""What the compiled kernel must know of the processor: vector width and how many accumulators fit."""

from dataclasses import dataclass

import llvmlite.binding as llvm
from numba.core import config

# Features with registers of another length, or with sums of products that are rounded once.
ROUNDING = ("avx512f", "avx2", "avx", "fma", "neon")


@dataclass(frozen=True)
class Hardware:
    """Attributes:
    width: float32 lanes of a vector register.
    tile: vectors of a tile; ROWS * tile accumulators stay in registers.
    permute: LLVM's name of what puts lanes in any order; None where nothing does.
    """

    width: int
    tile: int
    permute: str | None = None


def detect() -> Hardware:
    """The processor that numba compiles for."""
    features = _features()
    if features.get("avx512f"):
        return Hardware(16, 6, "llvm.x86.avx512.permvar.sf.512")
    if features.get("avx"):
        return Hardware(8, 3, "llvm.x86.avx2.permps" if features.get("avx2") else None)
    # 128-bit registers: 32 of them on ARM, 16 on x86.
    return Hardware(4, 6 if features.get("neon") else 3)


def processor() -> str:
    """What code is compiled for: its kind, its name, and those of its features that decide how sums round."""
    cpu = vars(config)["CPU_NAME"] or llvm.get_host_cpu_name()
    features = _features()
    known = [name for name in ROUNDING if features.get(name)]
    return " ".join([llvm.get_process_triple().partition("-")[0], cpu, *known])


def _features() -> dict[str, bool]:
    # numba reads this setting from the environment, as NUMBA_CPU_FEATURES.
    asked: str | None = vars(config)["CPU_FEATURES"]
    if asked is None:
        return dict(llvm.get_host_cpu_features())
    return {name[1:]: name[0] == "+" for name in asked.split(",") if name}
