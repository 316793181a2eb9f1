"""How tied rows get at the features of a term: in place, or from a copy that is made to fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Patches, Term, chain_shape
from sim_compress.runtime.compiled.layout.borders import fits, halo_of
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.lanes import Geometry
from sim_compress.runtime.compiled.layout.places import Tiled
from sim_compress.runtime.compiled.layout.windows import Windows, trace
from sim_compress.runtime.compiled.program.blocks.copies import copy_chain
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.streams import weight_of


@dataclass(frozen=True, eq=False)
class Read:
    """One term's features: a tiled source, its windows, and the weight that meets them."""

    source: Tiled
    windows: Windows
    weight: sparse.csr_array

    @property
    def kind(self) -> tuple[Geometry, tuple[int, int]]:
        """Terms with the same positions to read share a segment."""
        return self.source.geometry, self.windows.strides

    @property
    def offsets(self) -> NDArray[np.int64]:
        """First vector of each feature."""
        geometry, windows = self.source.geometry, self.windows
        shift = geometry.vector(windows.row, windows.column)
        return self.source.base + windows.channel * geometry.plane + shift


def read_term(context: Context, term: Term, target: Tiled) -> Read:
    """Read a term in place where its chain only shifts and the lanes fit, else from a copy."""
    source, weight = context.values[term.source], weight_of(target.form.channels, term)
    if isinstance(source, Tiled):
        windows = trace(term.maps, source.form, target.form, term.weight is not None)
        if windows is not None and fits(windows, source.geometry, target.geometry):
            return _kept(source, windows, weight)
    return _copied(context, term, target, weight)


def _kept(source: Tiled, windows: Windows, weight: sparse.csr_array) -> Read:
    """A read without the features that are zero."""
    there = np.flatnonzero(windows.channel >= 0)
    part = Windows(windows.channel[there], windows.row[there], windows.column[there], windows.strides)
    return Read(source, part, sparse.csr_array(weight[:, there]))


def _copied(context: Context, term: Term, target: Tiled, weight: sparse.csr_array) -> Read:
    """Copy what comes before the patches, or the whole chain."""
    source = context.values[term.source]
    maps, patches = term.maps, ()
    match maps:
        # A kernel of one pixel repeats nothing: only the pixels that it reads are copied.
        case (*before, Patches() as last) if len(last.kernel) <= 2 and max(last.kernel) > 1:
            maps, patches = tuple(before), (last,)
    form = Form(chain_shape(maps, source.form.shape))
    if term.weight is None:
        form, patches = target.form, ()
    windows = (trace(patches, form, target.form, weighted=True) if patches else None) or _whole(form)
    place = context.tiled_copy(source, form, _private(windows, form, target.geometry))
    copy_chain(context, maps, term.source, place)
    return _kept(place, windows, weight)


def _whole(form: Form) -> Windows:
    """Every channel where it is."""
    channel = np.arange(form.channels)
    return Windows(channel, 0 * channel, 0 * channel, (1, 1))


def _private(windows: Windows, form: Form, target: Geometry) -> Geometry:
    """The geometry in which a copy fits its target."""
    patch = [form.size[d] if target.grid[d] == 1 else windows.strides[d] * target.patch[d] for d in range(2)]
    halo = halo_of(windows, target.lanes, form.size, target.size)
    return Geometry(target.lanes, form.size, target.grid, (patch[0], patch[1]), halo)
