"""Phi of groups of channels, a token or sample in each lane: softmax, norms, products of matrices."""

import numpy as np
from numpy.typing import NDArray

from sim_compress.activations import Activation
from sim_compress.model import Scale, StateBlock
from sim_compress.runtime.compiled.code.normalising_code import KINDS
from sim_compress.runtime.compiled.code.operations import MatrixProduct, Normalisation
from sim_compress.runtime.compiled.code.phased_code import TILE
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Place, Tiled
from sim_compress.runtime.compiled.layout.tiles import runs
from sim_compress.runtime.compiled.program.blocks.products import factors
from sim_compress.runtime.compiled.program.context import Context


def normalises(context: Context, phi: Activation, form: Form) -> bool:
    """Whether phi works along channels of a form that lie under each other, not side by side in a vector."""
    return (
        phi.name in KINDS
        and set(phi.attributes["axes"]) <= set(form.channel_axes)
        and not context.is_flat(form)
    )


def scaled_source(context: Context, block: StateBlock, form: Form) -> tuple[Tiled, float] | None:
    """The one value that a block without rows reads as it lies, and its factor; None for any other sums."""
    affine = block.affine
    if affine.bias is not None or len(affine.terms) != 1 or affine.weighted:
        return None
    (term,) = affine.terms
    source = context.values[term.source]
    scales = [step for step in term.maps if isinstance(step, Scale) and step.factor.size == 1]
    if len(scales) < len(term.maps) or not isinstance(source, Tiled) or source.form != form:
        return None
    return source, float(np.prod([float(step.factor.item()) for step in scales]))


def lower_normalisation(context: Context, phi: Activation, z: Tiled, x: Tiled, factor: float = 1.0) -> None:
    """x = phi(factor z), group by group; both may be the same place."""
    assembly, form = context.assembly, z.form
    tiles = runs(z.geometry, TILE)
    sources, targets = (_groups(place, phi.attributes["axes"]) for place in (z, x))
    parameters = np.array([factor, phi.attributes.get("epsilon", 0.0)])
    assembly.add(
        Normalisation(
            len(tiles) * len(sources),
            KINDS.index(phi.name),
            assembly.integers(tiles, ("runs", z.geometry)),
            len(tiles),
            sources.shape[1],
            assembly.integers(sources),
            assembly.integers(targets),
            assembly.constants.add(("normalisation", *parameters), parameters),
        )
    )
    assert form == x.form, "a norm leaves every channel where it is"


def _groups(place: Tiled, axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Places of the channels, (groups, channels of a group)."""
    form = place.form
    channels = place.channels.reshape([form.shape[axis] for axis in form.channel_axes])
    along = [form.channel_axes.index(axis) for axis in axes]
    count = int(np.prod([form.shape[axis] for axis in axes]))
    return np.moveaxis(channels, along, range(-len(along), 0)).reshape(-1, count)


def lower_matrix(context: Context, block: StateBlock, form: Form) -> Place | None:
    """The place of a product of two states; None where its lanes are neither rows nor columns of it."""
    lanes = context.lanes
    apart = lanes.parts == 1 and lanes.groups == 1
    if block.phi.name != "matmul" or context.is_flat(form) or not (apart or lanes.samples == 1):
        return None
    found = factors(context, block)
    if found is None or any(factor.step != lanes.parts for factor in found):
        return None
    left, right = found
    rank = len(form.shape)
    if form.position_axes == (rank - 2,):
        vectors, numbers = _swapped(left.places), _swapped(right.places)
    elif form.position_axes == (rank - 1,):
        vectors, numbers = right.places, left.places
    else:
        return None
    return _multiplied(context, form, (vectors, numbers), left.factor * right.factor, apart)


def _swapped(places: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.swapaxes(places, -1, -2)


def _multiplied(
    context: Context,
    form: Form,
    operands: tuple[NDArray[np.int64], NDArray[np.int64]],
    factor: float,
    apart: bool,
) -> Tiled | None:
    """C[r, lanes] = sum_k A[r, k] B[k, lanes], operands the places of B (..., k, lanes) and A (..., r, k)."""
    vectors, numbers = operands
    groups = np.broadcast_shapes(vectors.shape[:-2], numbers.shape[:-2])
    b, a = (
        np.broadcast_to(o, (*groups, *o.shape[-2:])).reshape(-1, *o.shape[-2:]) for o in (vectors, numbers)
    )
    geometry = context.borders.geometries[form.size]
    inside = geometry.elements.ravel()
    sources = b[..., 0] - inside[0]
    rows, inner = a[..., 0], a[:, 0, :] - a[:, 0, :1]
    in_lanes = b.shape[-1] == len(inside) and np.array_equal(b, sources[..., None] + inside)
    if not in_lanes or not np.array_equal(a, rows[..., None] + inner[:, None]):
        return None
    target = context.place(form)
    assert isinstance(target, Tiled), "a product with lanes lies in vectors"
    order = target.elements if form.position_axes == (len(form.shape) - 1,) else _swapped(target.elements)
    targets = order.reshape(len(b), -1, len(inside))[..., 0] - inside[0]
    tiles, assembly = runs(geometry, TILE), context.assembly
    assembly.add(
        MatrixProduct(
            len(tiles) * len(b),
            assembly.integers(tiles, ("runs", geometry)),
            len(tiles),
            rows.shape[1],
            inner.shape[1],
            assembly.integers(rows),
            assembly.integers(inner),
            assembly.integers(sources),
            assembly.integers(targets),
            apart,
            assembly.constants.add(("factor", factor), np.array([factor])),
        )
    )
    return target
