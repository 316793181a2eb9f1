"""Every pixel has one place, and halos hold what lies beside a patch."""

import numpy as np
import pytest

from sim_compress.runtime.compiled.layout.grids import best_geometry
from sim_compress.runtime.compiled.layout.lanes import Geometry, Lanes
from sim_compress.runtime.compiled.layout.neighbours import HaloCopies, neighbours

WIDTH = 16
SIZES = [(1, 1), (1, 7), (5, 3), (8, 8), (14, 14), (32, 32)]
# Samples and bands; with many samples an image is not cut at all.
CUTS = [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (3, 4), (4, 1), (8, 2), (9, 1), (16, 1), (17, 1), (40, 1)]
# Vectors from one band to the next: more than any channel here takes.
DISTANCE = 5000


def lanes_of(samples: int, bands: int) -> Lanes:
    return Lanes(WIDTH, samples, bands, DISTANCE)


def filled(geometry: Geometry, image: np.ndarray) -> np.ndarray:
    """Memory of one channel with the pixels of one image, and a vector on both sides of it."""
    vectors = (geometry.lanes.bands - 1) * geometry.lanes.distance + geometry.plane
    memory = np.zeros(vectors * WIDTH + 2 * WIDTH, int)
    memory[WIDTH + geometry.elements] = image
    return memory


def vectors_of(geometry: Geometry, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """First float of positions in every band, (bands, positions)."""
    bands = np.arange(geometry.lanes.bands)[:, None]
    return (bands * geometry.lanes.distance + geometry.vector(rows, columns)) * WIDTH


def assert_halo_is_whole(geometry: Geometry, image: np.ndarray, memory: np.ndarray) -> None:
    """What lies in every patch and its halo is the image there, and zeros around it."""
    lanes, (top, left, bottom, right) = geometry.lanes, geometry.halo
    padded = np.pad(image, ((top, bottom + 64), (left, right + 64)))
    rows, columns = geometry.box()
    places = WIDTH + vectors_of(geometry, rows, columns)
    for patch in range(lanes.patches):
        band, lane = divmod(patch, lanes.parts)
        down, across = divmod(patch, geometry.grid[1])
        y, x = rows + down * geometry.patch[0] + top, columns + across * geometry.patch[1] + left
        np.testing.assert_array_equal(memory[places[band] + lane], padded[y, x])


def copy(memory: np.ndarray, source: np.ndarray, copies: HaloCopies) -> None:
    """Fill a halo from what lies in a memory."""
    for (target, first), kept in zip(copies.pairs + WIDTH, copies.lanes, strict=True):
        memory[target : target + WIDTH][kept] = source[first : first + WIDTH][kept]


@pytest.mark.parametrize(("samples", "bands"), CUTS)
@pytest.mark.parametrize("size", SIZES)
def test_pixels_of_all_samples_have_places_of_their_own(samples, bands, size):
    lanes = lanes_of(samples, bands)
    geometry = best_geometry(lanes, size, (1, 1, 1, 1))
    places = geometry.elements[..., None] + lanes.parts * np.arange(samples)
    assert len(np.unique(places)) == places.size
    band, place = np.divmod(places, DISTANCE * WIDTH)
    assert 0 <= band.min() <= band.max() < bands
    assert place.max() < geometry.plane * WIDTH


@pytest.mark.parametrize(("samples", "bands"), CUTS)
@pytest.mark.parametrize("size", SIZES)
def test_positions_are_those_that_hold_pixels(samples, bands, size):
    geometry = best_geometry(lanes_of(samples, bands), size, (1, 1, 1, 1))
    positions = geometry.positions
    vectors = geometry.vector(positions.row, positions.column) + positions.band * DISTANCE
    np.testing.assert_array_equal(np.sort(vectors), np.unique(geometry.elements // WIDTH))
    assert (np.diff(positions.band) >= 0).all()


@pytest.mark.parametrize(("samples", "bands"), CUTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("halo", [(1, 1, 1, 1), (2, 0, 1, 3)])
def test_a_halo_holds_the_neighbouring_pixels_and_zeros_outside_the_image(samples, bands, size, halo):
    geometry = best_geometry(lanes_of(samples, bands), size, halo)
    image = np.arange(1, size[0] * size[1] + 1).reshape(size)
    memory = filled(geometry, image)
    copy(memory, memory, neighbours(geometry).copies)
    assert_halo_is_whole(geometry, image, memory)


@pytest.mark.parametrize(("samples", "bands"), CUTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("halo", [(1, 1, 1, 1), (2, 0, 1, 3)])
def test_posts_hold_all_that_a_halo_needs_of_other_bands(samples, bands, size, halo):
    geometry = best_geometry(lanes_of(samples, bands), size, halo)
    image = np.arange(1, size[0] * size[1] + 1).reshape(size)
    memory = filled(geometry, image)
    posts, copies = neighbours(geometry).posts, neighbours(geometry).copies
    post_box = np.zeros(((bands - 1) * DISTANCE + 3) * WIDTH + posts.plane, int)
    for (target, source), kept in zip(posts.pairs + WIDTH, posts.lanes, strict=True):
        # Nothing else is there yet, and no post lies in two cache lines.
        assert not post_box[target : target + WIDTH][kept].any()
        assert target % WIDTH + kept.sum() <= WIDTH
        post_box[target : target + WIDTH][kept] = memory[source : source + WIDTH][kept]
    copy(memory, memory, neighbours(geometry).within)
    copy(memory, post_box, neighbours(geometry).crossing)
    assert_halo_is_whole(geometry, image, memory)
    assert bool(posts.plane) == bool(copies.crossing.any())


@pytest.mark.parametrize(("samples", "bands"), CUTS)
@pytest.mark.parametrize("size", SIZES)
def test_a_copy_fills_pixels_and_halo_at_once(samples, bands, size):
    geometry = best_geometry(lanes_of(samples, bands), size, (1, 1, 2, 1))
    places, rows, columns = geometry.filled()
    assert len(np.unique(places)) == len(places)
    image = np.arange(1, size[0] * size[1] + 1).reshape(size)
    memory = filled(geometry, np.zeros(size, int))
    memory[WIDTH + places] = image[rows, columns]
    assert_halo_is_whole(geometry, image, memory)


def test_a_strided_reader_sets_the_patches_where_that_is_cheap():
    lanes = Lanes(WIDTH, 1)
    small = best_geometry(lanes, (7, 7), (1, 1, 1, 1))
    fitted = best_geometry(lanes, (14, 14), (1, 1, 1, 1), [(small, (2, 2))])
    assert fitted.grid == small.grid
    assert fitted.patch == (2 * small.patch[0], 2 * small.patch[1])


def test_bands_are_cut_where_few_vectors_cross():
    geometry = best_geometry(lanes_of(1, 2), (8, 8), (1, 1, 1, 1))
    # The patches are as many lines high as it takes for one line of the image to cross.
    assert geometry.patch == (2, 1)
    assert neighbours(geometry).posts.plane == 8
