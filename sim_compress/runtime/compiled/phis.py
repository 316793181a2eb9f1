"""phi of a block: fused into its sums, an operation of its own, or left to the reference."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim_compress.activations import Activation
from sim_compress.runtime.compiled.context import Context
from sim_compress.runtime.compiled.forms import Form
from sim_compress.runtime.compiled.operations import CHUNK, LEAKY_RELU, SIGMOID, TANH, Componentwise, Maximum
from sim_compress.runtime.compiled.places import Place
from sim_compress.runtime.compiled.steps import Reference

COMPONENTWISE = {"leaky_relu": LEAKY_RELU, "tanh": TANH, "sigmoid": SIGMOID}
Parameters = tuple[float, float, float]
LINEAR_PHI: Parameters = (-np.inf, 1.0, np.inf)


def fused_phi(phi: Activation) -> Parameters | None:
    """(low, slope, high) where phi(z) = min(max(z, slope z, low), high), else None."""
    attributes: Mapping[str, float] = phi.attributes
    match phi.name:
        case "identity":
            return LINEAR_PHI
        case "relu":
            return (0.0, 1.0, np.inf)
        case "clip":
            return (attributes["low"], 1.0, attributes["high"])
        case "leaky_relu" if 0 <= attributes["slope"] <= 1:
            return (-np.inf, attributes["slope"], np.inf)
    return None


def has_operation(phi: Activation) -> bool:
    """Whether a phi is fused or has an operation of its own; if not, the reference computes it."""
    return fused_phi(phi) is not None or phi.name in COMPONENTWISE or phi.name == "max_pool"


def apply_phi(context: Context, phi: Activation, z: Place, form: Form) -> Place:
    """The state where phi is not fused: in place where it is componentwise, else of the given form."""
    if phi.name in COMPONENTWISE:
        _componentwise(context, phi, z)
        return z
    context.end_with_block(z)
    x = context.place(form)
    if phi.name == "max_pool":
        _maximum(context, phi, z, x)
    else:
        context.steps.add(Reference(phi, (z,), x))
    return x


def _componentwise(context: Context, phi: Activation, place: Place) -> None:
    assembly = context.assembly
    elements = place.elements.ravel()
    parameters = np.array(list(phi.attributes.values()) or [0.0])
    assembly.add(
        Componentwise(
            -(-len(elements) // CHUNK),
            assembly.integers(elements),
            len(elements),
            place.step,
            context.lanes.samples,
            COMPONENTWISE[phi.name],
            assembly.constants.add((phi.name, *parameters), parameters),
        )
    )


def _maximum(context: Context, phi: Activation, z: Place, x: Place) -> None:
    windows = _pool_windows(z.elements, phi).reshape(x.elements.size, -1)
    assembly = context.assembly
    assembly.add(
        Maximum(
            -(-len(windows) // CHUNK),
            assembly.integers(x.elements),
            assembly.integers(windows),
            windows.shape[1],
            len(windows),
            x.step,
            z.step,
            context.lanes.samples,
        )
    )


def _pool_windows(elements: NDArray[np.int64], phi: Activation) -> NDArray[np.int64]:
    """Elements under each window of a max pooling, (channels, *out, *kernel); -1 outside the image."""
    a = phi.attributes
    pads = [(0, 0), *zip(a["pads_begin"], a["pads_end"], strict=True)]
    padded = np.pad(elements, pads, constant_values=-1)
    spans = [(k - 1) * d + 1 for k, d in zip(a["kernel"], a["dilations"], strict=True)]
    views = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=tuple(range(1, elements.ndim)))
    strides = (slice(None), *(slice(None, None, s) for s in a["strides"]))
    return views[(*strides, *(slice(None, None, d) for d in a["dilations"]))]
