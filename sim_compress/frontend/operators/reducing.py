"""Reductions along axes that are no sums: state blocks."""

from collections.abc import Callable

from sim_compress.activations import Activation
from sim_compress.frontend.operators.activation import becomes
from sim_compress.frontend.registry import Activated, Call, RefusalError, Result, feature_axis, operator
from sim_compress.model import LinearMap, Reshape, Shape

NOT_BATCH = "not along the batch axis"
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


def reduced_axes(call: Call, shape: Shape) -> tuple[int, ...]:
    """The feature axes that a reduction takes, in order.

    Raises:
        RefusalError: the batch axis is one of them.
    """
    axes = call.numbers("axes", 1)
    if not axes:
        if call.attribute("noop_with_empty_axes", 0):
            return ()
        raise RefusalError("reduces all axes, the batch axis too")
    return tuple(sorted(feature_axis(a, len(shape)) for a in axes))


def _reduction(phi: str) -> Callable[[Call], Result]:
    def handler(call: Call) -> Result:
        x = call.affine(0)
        axes = reduced_axes(call, x.shape)
        if not axes:
            raise RefusalError("reduces no axes")
        return Activated(x, Activation(phi, {"axes": axes}), _kept(call, x.shape, axes))

    return handler


def _kept(call: Call, shape: Shape, axes: tuple[int, ...]) -> tuple[LinearMap, ...]:
    """The maps behind a reduction: reduced axes stay with size 1 unless the node says otherwise."""
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return (Reshape(kept),) if call.keeps_axes else ()


for _name, _phi in REDUCTIONS.items():
    operator(_name, becomes=becomes(_phi), limits=NOT_BATCH)(_reduction(_phi))


@operator("ArgMax", becomes=becomes("arg_max"), limits="the place as a float; " + NOT_BATCH)
def arg_max(call: Call) -> Activated:
    x = call.affine(0)
    if call.attribute("select_last_index", 0):
        raise RefusalError("asks for the last of equals")
    axes = (feature_axis(call.attribute("axis", 0), len(x.shape)),)
    return Activated(x, Activation("arg_max", {"axes": axes}), _kept(call, x.shape, axes))
