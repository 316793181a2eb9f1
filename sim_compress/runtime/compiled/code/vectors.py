"""Writing LLVM code on explicit vectors: numba's own loops would keep the accumulators in memory."""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from sim_compress.runtime.compiled.code.hardware import detect
from sim_compress.runtime.compiled.code.operations import Operation

HARDWARE = detect()
WIDTH, TILE = HARDWARE.width, HARDWARE.tile
FLOAT, INT16, INT32, INT64 = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64)
VECTOR, BITS = ir.VectorType(FLOAT, WIDTH), ir.VectorType(ir.IntType(1), WIDTH)
VECTORS, BYTES = VECTOR.as_pointer(), ir.IntType(8).as_pointer()
ALIGNED, UNALIGNED = 4 * WIDTH, 4
ZERO = ir.Constant(VECTOR, [0.0] * WIDTH)

# What every function gets: arena, integers, floats, masks and the row of its operation.
TABLES = [t.as_pointer() for t in (FLOAT, INT32, FLOAT, INT16, INT64)]


class Tables:
    """The arguments that every function gets, and the fields of its operation."""

    def __init__(self, b: ir.IRBuilder, arguments: Sequence[Any], operation: type[Operation]) -> None:
        self.b, self.arguments, self._operation = b, list(arguments), operation
        self.arena, self.integers, self.floats, self.masks, self._row = arguments

    def field(self, name: str) -> Any:
        """The number in a field."""
        return self.b.load(at(self.b, self._row, self._operation.place(name)))

    def integer(self, place: Any) -> Any:
        """An entry of the integers, as 64 bits."""
        return index(self.b, at(self.b, self.integers, place))

    def vector(self, number: Any) -> Any:
        """Pointer to the first float of a vector of the arena."""
        return at(self.b, self.arena, self.b.mul(number, INT64(WIDTH)))


def at(b: ir.IRBuilder, pointer: Any, place: Any) -> Any:
    """Pointer to an entry."""
    return b.gep(pointer, [place if isinstance(place, ir.Value) else INT64(place)])


def index(b: ir.IRBuilder, pointer: Any) -> Any:
    """A 32-bit integer in memory, as 64 bits."""
    return b.sext(b.load(pointer), INT64)


def splat(b: ir.IRBuilder, value: Any) -> Any:
    """A number in all lanes."""
    kind = ir.VectorType(value.type, WIDTH)
    undefined = ir.Constant(kind, ir.Undefined)
    first = b.insert_element(undefined, value, INT32(0))
    return b.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT32, WIDTH), [0] * WIDTH))


def load(b: ir.IRBuilder, pointer: Any, align: int) -> Any:
    """A vector from memory."""
    value: Any = b.load(b.bitcast(pointer, VECTORS))
    value.align = align
    return value


def load_shifted(b: ir.IRBuilder, pointer: Any, shift: Any) -> Any:
    """Lanes of a vector, each from so many lanes after it; what would lie outside is undefined.

    Read at another address it would be two cache lines, which wait for what was just written to them.
    """
    if HARDWARE.permute is None:
        return load(b, at(b, pointer, shift), UNALIGNED)
    numbers = ir.VectorType(INT32, WIDTH)
    every = ir.Constant(numbers, list(range(WIDTH)))
    order = b.add(every, splat(b, b.trunc(shift, INT32)))
    kind = ir.FunctionType(VECTOR, [VECTOR, numbers])
    permute = cgutils.get_or_insert_function(b.module, kind, HARDWARE.permute)
    return b.call(permute, [load(b, pointer, UNALIGNED), order])


def store(b: ir.IRBuilder, value: Any, pointer: Any, align: int) -> None:
    """A vector to memory."""
    stored: Any = b.store(value, b.bitcast(pointer, VECTORS))
    stored.align = align


def store_some(b: ir.IRBuilder, value: Any, pointer: Any, kept: Any) -> None:
    """The lanes of a vector that are kept to memory; others are not touched."""
    kind = ir.FunctionType(ir.VoidType(), [VECTOR, VECTORS, INT32, BITS])
    store_masked = cgutils.get_or_insert_function(
        b.module, kind, f"llvm.masked.store.v{WIDTH}f32.p0v{WIDTH}f32"
    )
    b.call(store_masked, [value, b.bitcast(pointer, VECTORS), INT32(UNALIGNED), kept])


def take_over(b: ir.IRBuilder, pointer: Any) -> None:
    """Begin to fetch a cache line that will be written, from another processor that may have it."""
    kind = ir.FunctionType(ir.VoidType(), [BYTES, INT32, INT32, INT32])
    fetch = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0i8")
    to_write, keep, data = INT32(1), INT32(3), INT32(1)
    b.call(fetch, [b.bitcast(pointer, BYTES), to_write, keep, data])


def multiply_add(b: ir.IRBuilder, x: Any, y: Any, z: Any) -> Any:
    """x y + z, rounded once where the processor can."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.fmuladd.v{WIDTH}f32"), [x, y, z])


def lanes(b: ir.IRBuilder, mask: Any) -> Any:
    """Bits of a 16-bit mask as one boolean per lane."""
    return b.bitcast(mask if WIDTH == 16 else b.trunc(mask, ir.IntType(WIDTH)), BITS)


def larger(b: ir.IRBuilder, bound: Any, x: Any) -> Any:
    """max(bound, x), NaN where x is NaN."""
    return b.select(b.fcmp_ordered(">", bound, x), bound, x)


def smaller(b: ir.IRBuilder, bound: Any, x: Any) -> Any:
    """min(bound, x), NaN where x is NaN."""
    return b.select(b.fcmp_ordered("<", bound, x), bound, x)


def apply_phi(b: ir.IRBuilder, z: list[Any], parameters: Any) -> list[Any]:
    """The fused phi of `program/blocks/phis.py`; a NaN stays.

    ReLU and the identity have slope 1, no upper bound and no gate: only the lower bound is applied.
    """
    low, slope, high, gate, shift, factor = (b.load(at(b, parameters, i)) for i in range(6))
    one, none, infinite = (ir.Constant(FLOAT, v) for v in (1.0, 0.0, float("inf")))
    gated = b.fcmp_unordered("!=", gate, none)
    plain = b.and_(b.fcmp_ordered("==", slope, one), b.fcmp_ordered("==", high, infinite))
    choice = Choice(b, b.or_(gated, b.not_(plain)), [larger(b, splat(b, low), v) for v in z])
    bounds = splat(b, low), splat(b, slope), splat(b, high)
    bent = [larger(b, bounds[0], larger(b, b.fmul(bounds[1], v), v)) for v in z]
    inner = Choice(b, gated, [smaller(b, bounds[2], v) for v in bent])
    return choice.leave(inner.leave(_gated(b, z, gate, shift, b.fcmp_unordered("!=", factor, none))))


def _gated(b: ir.IRBuilder, z: list[Any], gate: Any, shift: Any, times_z: Any) -> list[Any]:
    ones = ir.Constant(VECTOR, [1.0] * WIDTH)
    lines = [multiply_add(b, splat(b, gate), v, splat(b, shift)) for v in z]
    gates = [smaller(b, ones, larger(b, ZERO, line)) for line in lines]
    return [b.select(times_z, b.fmul(g, v), g) for g, v in zip(gates, z, strict=True)]


def function(module: ir.Module, kinds: Sequence[Any], write: Callable[..., None], *parameters: int) -> Any:
    """The function of a module whose code `write(b, arguments, *parameters)` writes.

    All functions are made here: there is one for a writer and its parameters, and its name is the module's
    choice, so that no two share one. Other modules do not see it.

    Args:
        kinds: types of the arguments.
    """
    made = vars(module).setdefault("sim_compress_functions", {})
    key = write, parameters
    if key not in made:
        name = module.get_unique_name(f"sim_compress_{write.__name__.strip('_')}")
        made[key] = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        made[key].linkage = "internal"
        made[key].attributes.add("noinline")
        b = ir.IRBuilder(made[key].append_basic_block("entry"))
        write(b, made[key].args, *parameters)
        b.ret_void()
    return made[key]


class Choice:
    """Code that runs only where a condition holds; `leave` merges its values with those of before."""

    def __init__(self, b: ir.IRBuilder, condition: Any, values: list[Any]) -> None:
        self._b, self._values, self._before = b, list(values), b.block
        inside, self._after = b.append_basic_block(), b.append_basic_block()
        b.cbranch(condition, inside, self._after)
        b.position_at_end(inside)

    def leave(self, values: list[Any]) -> list[Any]:
        """The values after the choice."""
        last = self._b.block
        self._b.branch(self._after)
        self._b.position_at_end(self._after)
        merged = [self._b.phi(value.type) for value in values]
        for phi, before, inside in zip(merged, self._values, values, strict=True):
            phi.add_incoming(before, self._before)
            phi.add_incoming(inside, last)
        return merged


class Loop:
    """Code that runs `count` times, not at all for zero, over carried values.

    Attributes:
        carried: the values inside.
        round: number of the round.
    """

    def __init__(self, b: ir.IRBuilder, count: Any, values: list[Any]) -> None:
        self._b, self._count = b, count
        self._choice = Choice(b, b.icmp_signed(">", count, count.type(0)), values)
        before, self._body, self._after = b.block, b.append_basic_block(), b.append_basic_block()
        b.branch(self._body)
        b.position_at_end(self._body)
        self._phis = [b.phi(v.type) for v in (count, *values)]
        for phi, value in zip(self._phis, [count.type(0), *values], strict=True):
            phi.add_incoming(value, before)
        self.round, *self.carried = self._phis

    def leave(self, values: list[Any]) -> list[Any]:
        """The values after the loop, given those at the end of a round."""
        b = self._b
        following = b.add(self.round, self.round.type(1))
        for phi, value in zip(self._phis, [following, *values], strict=True):
            phi.add_incoming(value, b.block)
        again = b.cbranch(b.icmp_signed("<", following, self._count), self._body, self._after)
        again.set_metadata("llvm.loop", _as_written(b.module))
        b.position_at_end(self._after)
        return self._choice.leave(values)


def _as_written(module: ir.Module) -> Any:
    """Loop metadata against unrolling, which would only add branches to loops of few rounds."""
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    # LLVM wants a first operand that makes the loop unique; any other node will do.
    return module.add_metadata([module.add_metadata([]), disable])
