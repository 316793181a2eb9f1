"""How wide the halo of every image size must be, from all terms that read it with a shift."""

from collections import defaultdict
from dataclasses import dataclass

from sim_compress.model import ImplicitModel
from sim_compress.runtime.compiled.layout.forms import Forms
from sim_compress.runtime.compiled.layout.grids import best_geometry
from sim_compress.runtime.compiled.layout.lanes import Geometry, Halo, Lanes, Pair
from sim_compress.runtime.compiled.layout.windows import Windows, pool_windows, trace

NO_HALO: Halo = (0, 0, 0, 0)
# Of images: channels, rows and columns.
LARGEST_RANK = 3


@dataclass(frozen=True)
class Borders:
    """Attributes:
    geometries: image size -> how it lies in lanes, with the halo its readers need.
    haloed: values of which a reader needs the halo.
    fitting: (size read, size of the reader, strides) of what can be read in place.
    """

    lanes: Lanes
    geometries: dict[Pair, Geometry]
    haloed: frozenset[str]
    fitting: frozenset[tuple[Pair, Pair, Pair]]


def borders(model: ImplicitModel, forms: Forms, lanes: Lanes) -> Borders:
    """Geometries for one batch size."""
    known = forms.states
    halos: defaultdict[Pair, Halo] = defaultdict(lambda: NO_HALO)
    readers: defaultdict[Pair, list[tuple[Pair, Pair]]] = defaultdict(list)
    haloed = set()
    for form in [*known.values(), *forms.sums.values()]:
        halos.setdefault(form.size, NO_HALO)
    for name, affine in model.affines():
        target = forms.sums[name]
        for term in affine.terms:
            source = known.get(term.source)
            windows = source and trace(term.maps, source, target, term.weight is not None)
            if source is None or not windows:
                continue
            needed = halo_of(windows, lanes, source.size, target.size)
            if any(needed):
                haloed.add(term.source)
                halos[source.size] = _widest(halos[source.size], needed)
            readers[source.size].append((target.size, windows.strides))
    for block in model.blocks:
        if block.phi.name != "max_pool" or len(block.shape) > LARGEST_RANK:
            continue
        windows, large, small = pool_windows(block.phi), forms.sums[block.name].size, known[block.name].size
        needed = halo_of(windows, lanes, large, small)
        if any(needed):
            # The states that it takes as they are; a sum that is formed for it is filled with it.
            haloed |= {term.source for term in block.affine.terms}
            halos[large] = _widest(halos[large], needed)
        readers[large].append((small, windows.strides))
    geometries: dict[Pair, Geometry] = {}
    # A strided reader is smaller than what it reads: its geometry is known first.
    for size in sorted(halos, key=lambda size: size[0] * size[1]):
        strided = [(small, strides) for small, strides in readers[size] if strides != (1, 1)]
        asked = [(geometries[small], strides) for small, strides in strided if small in geometries]
        geometries[size] = best_geometry(lanes, size, halos[size], asked)
    reads = {(size, target, strides) for size, all_read in readers.items() for target, strides in all_read}
    fitting = frozenset(r for r in reads if same_lanes(geometries[r[0]], geometries[r[1]], r[2]))
    return Borders(lanes, geometries, frozenset(haloed), fitting)


def halo_of(windows: Windows, lanes: Lanes, source: Pair, target: Pair) -> Halo:
    """What windows read outside a patch of the source."""
    read = windows.channel >= 0
    sides = []
    for shifts, stride, size, out in zip(
        (windows.row[read], windows.column[read]), windows.strides, source, target, strict=True
    ):
        smallest, largest = int(shifts.min(initial=0)), int(shifts.max(initial=0))
        # Over the whole image, and over one patch of it where it is cut.
        beyond = [stride * (out - 1) + largest - (size - 1)]
        if lanes.patches > 1:
            beyond.append(largest - (stride - 1))
        sides.append((max(0, -smallest), max(0, *beyond)))
    (top, bottom), (left, right) = sides
    return top, left, bottom, right


def fits(windows: Windows, source: Geometry, target: Geometry) -> bool:
    """Whether the lanes of a source are those of its target, and its halo is wide enough."""
    needed = halo_of(windows, source.lanes, source.size, target.size)
    wide = all(have >= need for have, need in zip(source.halo, needed, strict=True))
    return wide and same_lanes(source, target, windows.strides)


def same_lanes(source: Geometry, target: Geometry, strides: Pair) -> bool:
    """Whether what a target reads with strides is in its own lanes."""
    cut = [
        source.grid[d] == target.grid[d] == 1 or source.patch[d] == strides[d] * target.patch[d]
        for d in range(2)
    ]
    return source.grid == target.grid and all(cut)


def _widest(one: Halo, other: Halo) -> Halo:
    top, left, bottom, right = map(max, zip(one, other, strict=True))
    return top, left, bottom, right
