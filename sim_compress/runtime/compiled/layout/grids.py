"""Which grid of patches an image is cut into."""

from collections.abc import Sequence

from sim_compress.runtime.compiled.layout.lanes import Geometry, Halo, Lanes, Pair

# What an entry of a halo costs beside a vector of the patch, when a grid is chosen.
HALO_COST = 0.1
# The same for as many floats as a vector has that another band reads: their cache line goes from one
# processor to another.
CROSSING_COST = 1.0
# How much dearer a geometry may be that strided readers need no copy of.
FITTED_COST = 1.4


def cost(geometry: Geometry) -> float:
    """Price of one band of a channel, in vectors of a patch."""
    vectors = geometry.patch[0] * geometry.patch[1]
    halo = geometry.plane // geometry.lanes.groups - vectors
    return vectors + HALO_COST * halo + CROSSING_COST * _crossing(geometry)


def _crossing(geometry: Geometry) -> float:
    """Floats of a band that others read, in vectors."""
    top, left, bottom, right = geometry.halo
    (_, across), parts, slots = geometry.grid, geometry.lanes.parts, geometry.lanes.slots
    cut_rows = geometry.lanes.bands > 1 and geometry.grid[0] > 1
    # Of the lanes of one sample those along the cut; of several all from the first sample to the last.
    rows, columns = ((slots - 1 + n / parts) / slots for n in (min(across, parts), 1))
    down = cut_rows * (top + bottom) * geometry.patch[1] * rows
    return down + (across > parts) * (left + right) * geometry.patch[0] * columns


def grids(lanes: Lanes) -> list[Pair]:
    """Grids that use all patches of a sample."""
    return [(1 << k, lanes.patches >> k) for k in range(lanes.patches.bit_length())]


def best_geometry(
    lanes: Lanes, size: Pair, halo: Halo, readers: Sequence[tuple[Geometry, Pair]] = ()
) -> Geometry:
    """The cheapest grid.

    Args:
        readers: geometries that read this one with strides; their own patches, times the strides, are
            taken where that is not much dearer, because otherwise the image is copied for them.
    """

    def with_grid(grid: Pair) -> Geometry:
        return Geometry(lanes, size, grid, (-(-size[0] // grid[0]), -(-size[1] // grid[1])), halo)

    best = min(map(with_grid, grids(lanes)), key=cost)
    for reader, (down, right) in readers:
        patch = down * reader.patch[0], right * reader.patch[1]
        fitted = Geometry(lanes, size, reader.grid, patch, halo)
        covers = all(g * p >= s for g, p, s in zip(reader.grid, patch, size, strict=True))
        if covers and cost(fitted) <= FITTED_COST * cost(best):
            return fitted
    return best
