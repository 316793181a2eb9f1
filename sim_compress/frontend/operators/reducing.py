"""Reductions along axes that are no sums: state blocks."""

from collections.abc import Callable

from sim_compress.activations import Activation
from sim_compress.frontend.axes.rules.reducing import picks_place, reduces
from sim_compress.frontend.operators.activation import becomes
from sim_compress.frontend.registry import Activated, Call, RefusalError, operator
from sim_compress.model import LinearMap, Reshape, Shape

NOT_SAMPLES = "not along the batch axis"
REDUCTIONS = {
    "ReduceMax": "reduce_max",
    "ReduceMin": "reduce_min",
    "ReduceL1": "reduce_l1",
    "ReduceL2": "reduce_l2",
    "ReduceSumSquare": "reduce_sum_square",
    "ReduceLogSum": "reduce_log_sum",
    "ReduceLogSumExp": "reduce_log_sum_exp",
    "ReduceProd": "reduce_prod",
}


def reduced_axes(call: Call) -> tuple[int, ...]:
    """The axes that a reduction takes, in order."""
    return tuple(sorted(call.numbers("axes", 1) or ()))


def _reduction(phi: str) -> Callable[[Call], Activated]:
    def handler(call: Call) -> Activated:
        x = call.affine(0)
        axes = reduced_axes(call)
        return Activated(x, Activation(phi, {"axes": axes}), _kept(call, x.shape, axes))

    return handler


def _kept(call: Call, shape: Shape, axes: tuple[int, ...]) -> tuple[LinearMap, ...]:
    """The maps behind a reduction: reduced axes stay with size 1 unless the node says otherwise."""
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return (Reshape(kept),) if call.keeps_axes else ()


for _name, _phi in REDUCTIONS.items():
    operator(_name, reduces, becomes=becomes(_phi), limits=NOT_SAMPLES)(_reduction(_phi))


@operator("ArgMax", picks_place, becomes=becomes("arg_max"), limits="the place as a float; " + NOT_SAMPLES)
def arg_max(call: Call) -> Activated:
    x = call.affine(0)
    if call.attribute("select_last_index", 0):
        raise RefusalError("asks for the last of equals")
    axes = (call.attribute("axis"),)
    return Activated(x, Activation("arg_max", {"axes": axes}), _kept(call, x.shape, axes))
