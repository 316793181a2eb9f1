"""What decides the last bits of a result beside its inputs: processor, releases of packages, sources."""

import platform
from importlib.metadata import PackageNotFoundError, version

import llvmlite.binding as llvm
from numba.core import config

from sim_compress.compilation.sources import stamp

# Features with registers of another length, or with sums of products that are rounded once.
ROUNDING = ("avx512f", "avx2", "avx", "fma", "neon")
# Packages whose releases may give other bytes.
PACKAGES = ("sim-compress", "numpy", "scipy", "numba", "onnxruntime")


def environment() -> dict[str, str]:
    """Processor, releases by name, and a hash of the sources, whose version changes seldom."""
    return {
        "processor": processor(),
        "python": platform.python_version(),
        **{name: release(name) for name in PACKAGES},
        "source": str(stamp("sim_compress.compression")),
    }


def release(package: str) -> str:
    """The release of an installed package; of a source tree that is not installed nobody knows one."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown (not installed)"


def processor() -> str:
    """What code is compiled for: its kind, its name, and those of its features that decide how sums round."""
    cpu = vars(config)["CPU_NAME"] or llvm.get_host_cpu_name()
    present = features()
    known = [name for name in ROUNDING if present.get(name)]
    return " ".join([llvm.get_process_triple().partition("-")[0], cpu, *known])


def features() -> dict[str, bool]:
    """Features of the processor that numba compiles for."""
    # numba reads this setting from the environment, as NUMBA_CPU_FEATURES.
    asked: str | None = vars(config)["CPU_FEATURES"]
    if asked is None:
        return dict(llvm.get_host_cpu_features())
    return {name[1:]: name[0] == "+" for name in asked.split(",") if name}
