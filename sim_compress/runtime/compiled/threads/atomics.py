"""Atomic numbers in an int64 array, for threads that run compiled code side by side."""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

ORDER = "seq_cst"
X86 = llvm.get_process_triple().startswith(("x86_64", "i686"))
# To a type checker this decorator gives plain functions with one argument too many.
_code: Any = intrinsic


@_code
def atomic_add(_: Any, array: Any, _place: Any, _number: Any) -> Any:
    """Add to an entry; gives its old value."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        array, place, number = arguments
        data = context.make_array(signature.args[0])(context, b, array).data
        return b.atomic_rmw("add", b.gep(data, [place]), number, ORDER)

    return types.int64(array, types.int64, types.int64), generate


@_code
def atomic_get(_: Any, array: Any, _place: Any) -> Any:
    """The entry as it is now."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        array, place = arguments
        data = context.make_array(signature.args[0])(context, b, array).data
        return b.load_atomic(b.gep(data, [place]), ORDER, 8)

    return types.int64(array, types.int64), generate


@_code
def atomic_set(_: Any, array: Any, _place: Any, _number: Any) -> Any:
    """Set an entry; who sees it also sees all that was written before."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        array, place, number = arguments
        data = context.make_array(signature.args[0])(context, b, array).data
        b.store_atomic(number, b.gep(data, [place]), ORDER, 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@_code
def atomic_swap(_: Any, array: Any, _place: Any, _expected: Any, _number: Any) -> Any:
    """Set an entry that is as expected; gives whether it was."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        array, place, expected, number = arguments
        data = context.make_array(signature.args[0])(context, b, array).data
        return b.extract_value(b.cmpxchg(b.gep(data, [place]), expected, number, ORDER, ORDER), 1)

    return types.boolean(array, types.int64, types.int64, types.int64), generate


@_code
def pause(_: Any) -> Any:
    """Tell the processor that this is a waiting loop."""

    def generate(context: Any, b: ir.IRBuilder, _signature: Any, _arguments: Any) -> Any:
        if X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate
