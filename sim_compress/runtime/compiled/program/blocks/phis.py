"""phi of a block: fused into its sums, an operation, by numpy in place, or left to the reference."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_compress.activations import Activation
from sim_compress.runtime.compiled.code.elementwise_code import KINDS
from sim_compress.runtime.compiled.code.operations import CHUNK, Elementwise
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Place, Tiled
from sim_compress.runtime.compiled.program.blocks.copies import clear
from sim_compress.runtime.compiled.program.blocks.pooling import lower_maximum
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.steps import InPlace, Reference


class Parameters(NamedTuple):
    """A phi that is fused into sums: min(max(z, slope z, low), high), or, where there is a gate,
    min(max(gate z + shift, 0), 1), times z if factor is 1.
    """

    low: float = -np.inf
    slope: float = 1.0
    high: float = np.inf
    gate: float = 0.0
    shift: float = 0.0
    factor: float = 0.0


LINEAR_PHI = Parameters()


def fused_phi(phi: Activation) -> Parameters | None:
    """The parameters of a phi that can be fused, else None."""
    attributes: Mapping[str, float] = phi.attributes
    match phi.name:
        case "identity":
            return LINEAR_PHI
        case "relu":
            return Parameters(low=0.0)
        case "clip":
            return Parameters(low=attributes["low"], high=attributes["high"])
        case "leaky_relu" if 0 <= attributes["slope"] <= 1:
            return Parameters(slope=attributes["slope"])
        case "hard_sigmoid" if attributes["alpha"] != 0:
            return Parameters(gate=attributes["alpha"], shift=attributes["beta"])
        case "hard_swish":
            return Parameters(gate=1 / 6, shift=0.5, factor=1.0)
    return None


def has_operation(phi: Activation) -> bool:
    """Whether a phi needs no more than z where it lies; else the reference reads and writes entries."""
    return fused_phi(phi) is not None or _is_uniform(phi) or phi.name == "max_pool"


def _is_uniform(phi: Activation) -> bool:
    """Whether phi is the same function of every entry."""
    return phi.kind.componentwise and all(np.ndim(value) == 0 for value in phi.attributes.values())


def apply_phi(context: Context, phi: Activation, z: Place, form: Form) -> Place:
    """The state where phi is not fused: in place where it is one function, else of the given form."""
    if _is_uniform(phi):
        for first, last in context.extents(z):
            _in_place(context, phi, z, first, last)
        return z
    context.end_with_block(z)
    x = context.place(form)
    if phi.name == "max_pool":
        lower_maximum(context, phi, z, x)
    else:
        context.steps.add(Reference(phi, (z,), x))
    return x


def _in_place(context: Context, phi: Activation, place: Place, first: int, last: int) -> None:
    """phi on a part of a place, from one float to another, by compiled code where there is some."""
    outside = _outside(context, phi, place, first, last)
    if phi.name not in KINDS:
        context.steps.add(InPlace(phi, first, last, outside))
        return
    vectors, assembly = -(-(last - first) // context.lanes.width), context.assembly
    parameters = np.array([phi.attributes.get(key, 1.0) for key in ("alpha", "gamma")])
    if phi.name == "leaky_relu":
        parameters[0] = phi.attributes["slope"]
    assembly.add(
        Elementwise(
            -(-vectors // CHUNK),
            KINDS.index(phi.name),
            first,
            vectors,
            CHUNK,
            assembly.constants.add(("elementwise", *parameters), parameters),
        )
    )
    if len(outside):
        clear(context, outside)


def _outside(context: Context, phi: Activation, place: Place, first: int, last: int) -> NDArray[np.int64]:
    """Floats of a part of a place that are no entry and that phi would not leave zero."""
    kept_zero = float(phi(np.zeros((1, 1), np.float32))[0, 0]) == 0
    if kept_zero or not isinstance(place, Tiled) or not any(place.geometry.halo):
        return np.zeros(0, np.int64)
    outside = np.ones(last - first, bool)
    entries = (place.destinations[0][:, None] + place.step * np.arange(context.lanes.samples)).ravel()
    outside[entries[(entries >= first) & (entries < last)] - first] = False
    return first + np.flatnonzero(outside)
