"""Sleeping in compiled code until another thread says that a number changed; on Linux by a futex."""

import sys
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Number of the system call on each processor, and its two operations for threads of one process.
NUMBERS = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "powerpc64le": 221}
WAIT, WAKE = 128, 129
ALL = 2**31 - 1
FUTEX = NUMBERS.get(llvm.get_process_triple().partition("-")[0]) if sys.platform == "linux" else None
# Nanoseconds after which a sleeper looks by itself: nothing hangs should nobody wake it.
LONGEST = 5_000_000
# Microseconds of a sleep on other systems, from which nobody can wake.
SHORT = 50
POSIX = sys.platform != "win32"
INT32, INT64 = ir.IntType(32), ir.IntType(64)
# To a type checker this decorator gives plain functions with one argument too many.
_code: Any = intrinsic


@_code
def sleep(_: Any, array: Any, _place: Any, _expected: Any) -> Any:
    """Sleep if an entry is as expected, until it is woken; it may wake by itself."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        array, place, expected = arguments
        if FUTEX is not None:
            limit = cgutils.alloca_once(b, ir.ArrayType(INT64, 2))
            b.store(ir.Constant(ir.ArrayType(INT64, 2), [0, LONGEST]), limit)
            address = _address(context, b, signature, array, place)
            _system_call(b, address, WAIT, expected, b.ptrtoint(limit, INT64))
        elif POSIX:
            kind = ir.FunctionType(INT32, [INT32])
            b.call(cgutils.get_or_insert_function(b.module, kind, "usleep"), [INT32(SHORT)])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@_code
def wake(_: Any, array: Any, _place: Any) -> Any:
    """Wake all who sleep on an entry, after it was changed."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        if FUTEX is not None:
            address = _address(context, b, signature, *arguments)
            _system_call(b, address, WAKE, INT64(ALL), INT64(0))
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _address(context: Any, b: ir.IRBuilder, signature: Any, array: Any, place: Any) -> Any:
    """Of the lower half of an entry: a futex has 32 bits, and all these processors store them first."""
    data = context.make_array(signature.args[0])(context, b, array).data
    return b.ptrtoint(b.gep(data, [place]), INT64)


def _system_call(b: ir.IRBuilder, address: Any, operation: int, value: Any, limit: Any) -> None:
    kind = ir.FunctionType(INT64, [INT64], var_arg=True)
    call = cgutils.get_or_insert_function(b.module, kind, "syscall")
    b.call(call, [INT64(FUTEX), address, INT64(operation), value, limit])
