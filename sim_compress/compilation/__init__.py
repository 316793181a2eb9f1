"""Kernels: functions compiled by numba, kept on disk, and announced while that takes time."""

from sim_compress.compilation.kernel import JIT, inlined, kernel, part
from sim_compress.compilation.preparation import prepare

__all__ = ["JIT", "inlined", "kernel", "part", "prepare"]
