"""Convolutions: tied rows, one per output channel, over patches."""

from sim_compress.frontend.expressions import finite, mapped, tied_rows
from sim_compress.frontend.operators.windows import windows_of
from sim_compress.frontend.registry import Call, RefusalError, operator
from sim_compress.model import Affine, Term


@operator(
    "Conv",
    becomes="tied rows, one per output channel",
    limits="weight and bias are constants; 1-d, 2-d, 3-d; any stride, padding, group, dilation",
)
def conv(call: Call) -> Affine:
    x, weight = call.single(0), call.constant(1)
    groups = call.attribute("group", 1)
    if x.shape[0] != weight.shape[1] * groups or len(weight) % groups:
        raise RefusalError(f"weight {weight.shape} in {groups} groups on {x.shape[0]} channels")
    patches = windows_of(call, x.shape, weight.shape[2:]).patches
    features = mapped(x, patches)
    bias = finite(call.constant(2)) if call.has(2) else None
    term = features.terms[0]
    rows = tied_rows(weight.reshape(len(weight), -1), groups)
    return Affine((len(weight), *features.shape[1:]), (Term(term.source, term.maps, rows, groups),), bias)
