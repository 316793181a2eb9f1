"""LLVM code of phi of two or three values, entry by entry: comparisons, truth values, choices."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

from sim_compress.compilation import kernel
from sim_compress.runtime.compiled.code.calls import ARGUMENTS, item_code
from sim_compress.runtime.compiled.code.operations import CHUNK, Entrywise
from sim_compress.runtime.compiled.code.vectors import FLOAT, INT64, Loop, Tables, at

NOTHING, ONE = ir.Constant(FLOAT, 0.0), ir.Constant(FLOAT, 1.0)
Function = Callable[[ir.IRBuilder, Any, Any, Any], Any]


def _truth(b: ir.IRBuilder, x: Any) -> Any:
    """Whether a number is not 0; a NaN is not."""
    return b.fcmp_unordered("!=", x, NOTHING)


def _said(b: ir.IRBuilder, condition: Any) -> Any:
    return b.select(condition, ONE, NOTHING)


def _compared(sign: str) -> Function:
    return lambda b, x, y, _: _said(b, b.fcmp_ordered(sign, x, y))


def _larger(sign: str) -> Function:
    """The largest or smallest of three, NaN where one is; of two the second comes twice."""

    def of_two(b: ir.IRBuilder, x: Any, y: Any) -> Any:
        kept = b.or_(b.fcmp_unordered("uno", x, x), b.fcmp_ordered(sign, x, y))
        return b.select(kept, x, y)

    return lambda b, x, y, z: of_two(b, of_two(b, x, y), z)


# By the name of the phi.
FUNCTIONS: Mapping[str, Function] = {
    "and": lambda b, x, y, _: _said(b, b.and_(_truth(b, x), _truth(b, y))),
    "or": lambda b, x, y, _: _said(b, b.or_(_truth(b, x), _truth(b, y))),
    "xor": lambda b, x, y, _: _said(b, b.xor(_truth(b, x), _truth(b, y))),
    "equal": _compared("=="),
    "less": _compared("<"),
    "less_or_equal": _compared("<="),
    "greater": _compared(">"),
    "greater_or_equal": _compared(">="),
    "maximum": _larger(">"),
    "minimum": _larger("<"),
    "where": lambda b, x, y, z: b.select(_truth(b, x), y, z),
}
# By the number that stands in an operation.
KINDS = tuple(FUNCTIONS)


def entrywise_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): some entries of all samples."""
    *arguments, item = arguments
    tables = Tables(b, arguments, Entrywise)
    begin = b.mul(item, INT64(CHUNK))
    left = b.sub(tables.field("count"), begin)
    count = b.select(b.icmp_signed("<", INT64(CHUNK), left), INT64(CHUNK), left)
    end = b.append_basic_block()
    choice = b.switch(tables.field("kind"), end)
    for number, name in enumerate(KINDS):
        case = b.append_basic_block()
        choice.add_case(INT64(number), case)
        b.position_at_end(case)
        loop = Loop(b, count, [])
        entry = b.add(begin, loop.round)
        places = [
            at(b, tables.arena, tables.integer(b.add(tables.field(field), entry)))
            for field in ("targets", "first", "second", "third")
        ]
        steps = [tables.field(field) for field in ("step", "first_step", "second_step", "third_step")]
        inner = Loop(b, tables.field("samples"), places)
        target, *parts = inner.carried
        b.store(FUNCTIONS[name](b, *(b.load(part) for part in parts)), target)
        inner.leave([at(b, place, step) for place, step in zip(inner.carried, steps, strict=True)])
        loop.leave([])
        b.branch(end)
    b.position_at_end(end)


_code = item_code(entrywise_item)


@kernel(error_model="numpy")
def entrywise(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of an Entrywise."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {entrywise: ARGUMENTS}
