"""What the compiled kernel must know of the processor: vector width and how many accumulators fit."""

from dataclasses import dataclass

import llvmlite.binding as llvm

from sim_compress.compilation.environment import features

ARM = llvm.get_process_triple().startswith(("aarch64", "arm64"))


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
    present = features()
    if present.get("avx512f"):
        return Hardware(16, 6, "llvm.x86.avx512.permvar.sf.512")
    if present.get("avx"):
        return Hardware(8, 3, "llvm.x86.avx2.permps" if present.get("avx2") else None)
    # 128-bit registers: 32 of them on 64-bit ARM, where LLVM does not find out on every system, 16 on x86.
    return Hardware(4, 6 if present.get("neon") or ARM else 3)
