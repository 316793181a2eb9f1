"""Compiles every kernel of the runtime for 64-bit ARM, on any machine; run by `test_arm.py`.

numba takes the machine that it is on for the one it compiles for. Here it is told another one, and that what
it makes will not be called.
"""

import re
import sys
from importlib import import_module
from typing import Any
from unittest.mock import patch

import llvmlite.binding as llvm
from numba.core import caching, codegen, cpu

from sim_compress.compilation.cache import KernelCache

TRIPLE = "aarch64-unknown-linux-gnu"
# Of an ELF file: where the number of the machine is, and that of 64-bit ARM.
MACHINE, AARCH64 = 18, 183
# Modules with a table of kernels and the types that they are compiled for.
MODULES = (
    "sim_compress.runtime.compiled.code.machine",
    "sim_compress.runtime.compiled.code.phased_code",
    "sim_compress.runtime.compiled.code.matrix_code",
    "sim_compress.runtime.compiled.code.normalising_code",
    "sim_compress.runtime.compiled.code.elementwise_code",
    "sim_compress.runtime.compiled.code.entrywise_code",
    "sim_compress.runtime.compiled.code.gating_code",
    "sim_compress.runtime.compiled.code.lookup_code",
    "sim_compress.runtime.compiled.code.pooling_code",
    "sim_compress.runtime.reverse.tied",
)
ASSEMBLY: list[str] = []


def emit(library: Any) -> None:
    """In place of loading the code into this process."""
    target, module = library._codegen._tm, library._final_module
    made: bytes = target.emit_object(module)
    assert made[:4] == b"\x7fELF", library.name
    assert int.from_bytes(made[MACHINE : MACHINE + 2], "little") == AARCH64, library.name
    ASSEMBLY.append(target.emit_assembly(module))


def stand_in(_: Any, library: Any, *_description: Any) -> Any:
    """In place of the function that Python would call: a new one each, since numba tells them apart by it."""
    library._ensure_finalized()
    return [].append


def kept_on_disk() -> set[Any]:
    """All kernels of the modules that are loaded."""
    modules = [m for name, m in sys.modules.items() if name.startswith("sim_compress.runtime")]
    found = [value for module in modules for value in vars(module).values()]
    return {f for f in found if isinstance(getattr(f, "_cache", None), KernelCache)}


def main() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    with (
        patch.object(llvm, "get_process_triple", lambda: TRIPLE),
        patch.object(codegen.JITCodeLibrary, "_finalize_specific", emit),
        patch.object(cpu.CPUContext, "get_executable", stand_in),
    ):
        # They look at the machine when they are imported.
        entries = {k: types for name in MODULES for k, types in import_module(name).ENTRIES.items()}
        assert set(entries) == kept_on_disk(), "a kernel has no types to compile it for"
        for kernel, types in entries.items():
            kernel._cache = caching.NullCache()
            kernel.compile(types)
    added = len(re.findall(r"\bfmla\s+v\d+\.4s", "\n".join(ASSEMBLY)))
    sys.stdout.write(f"{added} vectors of products added\n")


if __name__ == "__main__":
    main()
