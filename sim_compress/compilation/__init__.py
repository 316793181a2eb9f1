"""Kernels: functions compiled by numba, kept on disk, and announced while that takes time."""

from sim_compress.compilation.companion import companion
from sim_compress.compilation.kernel import JIT, inlined, kernel, part
from sim_compress.compilation.preparation import prepare, ready

__all__ = ["JIT", "companion", "inlined", "kernel", "part", "prepare", "ready"]
