"""Operations whose code is compiled apart, when a program first has them; it is called by its address.

What a network does not need is not compiled for it, and a new operation leaves the interpreter as it is.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sim_compress.compilation import prepare
from sim_compress.runtime.compiled.code.operations import ADDRESS
from sim_compress.runtime.compiled.code.vectors import INT64, TABLES, function

# Addresses of the arena, integers, floats, masks and of the operation's row; the number of the item.
ARGUMENTS = (types.int64,) * 6


def item_code(write: Callable[..., None]) -> Any:
    """What a kernel of ARGUMENTS calls for one item: the code that `write(b, arguments)` writes."""

    def typed(_: Any, *_arguments: Any) -> Any:
        def generate(context: Any, b: Any, _signature: Any, arguments: Any) -> Any:
            *tables, item = arguments
            pointers = [b.inttoptr(a, kind) for a, kind in zip(tables, TABLES, strict=True)]
            b.call(function(b.module, [*TABLES, INT64], write), [*pointers, item])
            return context.get_dummy_value()

        return types.void(*ARGUMENTS), generate

    def named(t: Any, arena: Any, integers: Any, floats: Any, masks: Any, row: Any, item: Any) -> Any:
        return typed(t, arena, integers, floats, masks, row, item)

    code: Any = intrinsic
    return code(named)


def call_item(context: Any, b: Any, arguments: Any) -> None:
    """Call the code of an operation: pointers to the tables and its row, and the number of the item."""
    *pointers, item = arguments
    address = b.load(b.gep(pointers[-1], [INT64(ADDRESS)]))
    kind = context.call_conv.get_function_type(types.none, ARGUMENTS)
    passed = [*(b.ptrtoint(p, INT64) for p in pointers), item]
    context.call_conv.call_function(b, b.inttoptr(address, kind.as_pointer()), types.none, ARGUMENTS, passed)


def write_addresses(ops: NDArray[np.int64], entries: dict[int, Any]) -> None:
    """Write the address of its code into each row of a program; compiles what is not there yet.

    Args:
        entries: code of an operation -> its kernel.
    """
    wanted = {code: entries[code] for code in np.unique(ops[:, 0]).tolist() if code in entries}
    prepare(dict.fromkeys(wanted.values(), ARGUMENTS))
    for code, entry in wanted.items():
        made = entry.overloads[ARGUMENTS]
        ops[ops[:, 0] == code, ADDRESS] = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
