"""Terms whose features are channels of a value where they lie; constants go into weights and bias."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import LinearMap, Offset, Scale, Term, apply_chain, selects
from sim_compress.runtime.compiled.layout.borders import fits
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.lanes import Geometry
from sim_compress.runtime.compiled.layout.places import Outside, Place, Tiled
from sim_compress.runtime.compiled.layout.windows import trace
from sim_compress.runtime.compiled.program.blocks.copies import NOTHING, selected
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.factors import composes
from sim_compress.runtime.compiled.program.streams import weight_of


@dataclass(frozen=True, eq=False)
class Channels:
    """A term as channels in the arena.

    Attributes:
        weight: (rows, channels).
        places: first float of each channel, as in the geometry of the target.
        bias: what the constants of its chain add to every row, None for nothing.
    """

    weight: sparse.csr_array
    places: NDArray[np.int64]
    bias: NDArray[np.float64] | None


def channels(context: Context, term: Term, form: Form, geometry: Geometry) -> Channels | None:
    """A term whose positions are those of a geometry; None where it must be copied or computed first."""
    source = context.values[term.source]
    steps = tuple(step for step in term.maps if not isinstance(step, Scale | Offset))
    if not all(map(selects, steps)) or not composes(term.maps):
        return None
    weight = weight_of(form.channels, term)
    offsets = None
    if len(steps) < len(term.maps):
        folded = _folded(term.maps, source, form, weight, term.weight is not None)
        if folded is None:
            return None
        weight, offsets = folded
    places = _places(context, term, steps, source, form, geometry)
    if places is None:
        return None
    bias = None if offsets is None else offsets[:, 0]
    if offsets is not None and (offsets != offsets[:, :1]).any():
        places = np.concatenate([places, context.constants(offsets, geometry)])
        ones = weight_of(form.channels, replace(term, weight=None))
        weight, bias = sparse.csr_array(sparse.hstack([weight, ones])), None
    there = np.flatnonzero(places != NOTHING)
    if len(there) < len(places):
        weight, places = sparse.csr_array(weight[:, there]), places[there]
    return Channels(weight, places, bias)


def _features(array: NDArray, form: Form, weighted: bool) -> NDArray:
    """What a chain gives, (features, positions): rows of the target where nothing is multiplied."""
    return array.reshape(len(array), -1) if weighted else form.canonical(array).reshape(form.channels, -1)


def _folded(
    maps: tuple[LinearMap, ...], source: Place | Outside, form: Form, weight: sparse.csr_array, weighted: bool
) -> tuple[sparse.csr_array, NDArray[np.float64]] | None:
    """The weight with the factors of a chain, the same at all positions, and what its offsets give there."""
    if isinstance(source, Outside) and not source.float32:
        return None
    shape = source.form.shape
    zeros = apply_chain(maps, np.zeros((*shape, 1)))[..., 0]
    linear = [step for step in maps if not isinstance(step, Offset)]
    ones = apply_chain(linear, np.ones((*shape, 1)))[..., 0]
    offsets, factors = (_features(part, form, weighted) for part in (zeros, ones))
    if (factors != factors[:, :1]).any():
        return None
    wide = sparse.csr_array(weight.astype(np.float64))
    bias = wide @ offsets
    wide = sparse.csr_array(wide.multiply(factors[:, 0]))
    with np.errstate(over="ignore", under="ignore"):
        narrow = wide.astype(np.float32)
    held = np.isfinite(narrow.data).all() and narrow.count_nonzero() == wide.count_nonzero()
    return (sparse.csr_array(narrow), bias) if held and np.isfinite(bias).all() else None


def _places(
    context: Context,
    term: Term,
    steps: tuple[LinearMap, ...],
    source: Place | Outside,
    form: Form,
    geometry: Geometry,
) -> NDArray[np.int64] | None:
    weighted = term.weight is not None
    if isinstance(source, Outside):
        numbers = selected(steps, source)
        if not source.float32 or numbers is None:
            return None
        return context.loaded(term.source, _features(numbers, form, weighted), geometry)
    if not isinstance(source, Tiled):
        return None
    windows = trace(steps, source.form, form, weighted)
    if windows is not None and source.geometry == geometry and windows.strides == (1, 1):
        if not fits(windows, source.geometry, geometry):
            return None
        shift = geometry.vector(windows.row, windows.column) - geometry.first
        places = source.base + windows.channel * geometry.plane + shift
        return np.where(windows.channel >= 0, places * geometry.lanes.width, NOTHING)
    elements = selected(steps, source)
    if elements is None:
        return None
    found = _features(elements, form, weighted)
    inside = geometry.elements.reshape(1, -1)
    if found.shape[1] != inside.shape[1]:
        return None
    first = found[:, 0] - inside[0, 0]
    nothing = (found == NOTHING).all(axis=1)
    alike = ((found - inside) == first[:, None]).all(axis=1)
    return np.where(nothing, NOTHING, first) if (nothing | alike).all() else None
