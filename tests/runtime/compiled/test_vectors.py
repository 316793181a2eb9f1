"""Functions of generated code: one for a writer and its parameters, never two of one name."""

from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from sim_compress.runtime.compiled.code.vectors import FLOAT, function

KINDS = [FLOAT.as_pointer()]


def add(b: ir.IRBuilder, arguments: Sequence[Any], number: int = 1) -> None:
    """Adds a number to what the argument points to."""
    b.store(b.fadd(b.load(arguments[0]), FLOAT(number)), arguments[0])


def namesake() -> Any:
    """Another writer of the same name, which doubles."""

    def add(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
        b.store(b.fmul(b.load(arguments[0]), FLOAT(2)), arguments[0])

    return add


def calling(write: Any) -> Any:
    """A numba function that calls a written one for the first entry of an array."""

    @intrinsic
    def call(_: Any, array: Any) -> Any:
        def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            data = context.make_array(signature.args[0])(context, b, arguments[0]).data
            b.call(function(b.module, KINDS, write), [data])
            return context.get_dummy_value()

        return types.void(array), generate

    made: Any = call

    @njit
    def changed(array: Any) -> None:
        made(array)

    return changed


def test_a_function_wanted_twice_is_made_once():
    module = ir.Module()
    assert function(module, KINDS, add, 3) is function(module, KINDS, add, 3)
    assert function(ir.Module(), KINDS, add, 3) is not function(module, KINDS, add, 3)


def test_no_two_functions_of_a_module_share_a_name():
    module = ir.Module()
    made = [function(module, KINDS, add), function(module, KINDS, namesake())]
    made += [function(module, KINDS, add, n) for n in (11, 1, -1)]
    assert len({m.name for m in made}) == 5
    llvm.parse_assembly(str(module)).verify()


def test_functions_of_one_name_in_linked_modules_stay_apart():
    first, second = calling(add), calling(namesake())

    @njit
    def both(array: Any) -> None:
        first(array)
        second(array)
        first(array)

    array = np.full(1, 3, np.float32)
    both(array)
    assert array[0] == 9
