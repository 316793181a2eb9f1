"""Every pixel has one place, and halos hold what lies beside a patch."""

import numpy as np
import pytest

from sim_compress.runtime.compiled.lanes import Geometry, Lanes, best_geometry

WIDTH = 16
SIZES = [(1, 1), (1, 7), (5, 3), (8, 8), (14, 14), (32, 32)]


def filled(geometry: Geometry, image: np.ndarray) -> np.ndarray:
    """Memory of one channel with the pixels of one image, and a vector on both sides of it."""
    memory = np.zeros(geometry.plane * WIDTH + 2 * WIDTH, int)
    memory[WIDTH + geometry.elements] = image
    return memory


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 8, 9, 16, 17, 40])
@pytest.mark.parametrize("size", SIZES)
def test_pixels_of_all_samples_have_places_of_their_own(samples, size):
    lanes = Lanes(WIDTH, samples)
    geometry = best_geometry(lanes, size, (1, 1, 1, 1))
    places = geometry.elements[..., None] + lanes.parts * np.arange(samples)
    assert len(np.unique(places)) == places.size
    assert places.min() >= 0
    assert places.max() < geometry.plane * WIDTH


@pytest.mark.parametrize("samples", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("halo", [(1, 1, 1, 1), (2, 0, 1, 3)])
def test_a_halo_holds_the_neighbouring_pixels_and_zeros_outside_the_image(samples, size, halo):
    lanes = Lanes(WIDTH, samples)
    geometry = best_geometry(lanes, size, halo)
    image = np.arange(1, size[0] * size[1] + 1).reshape(size)
    memory = filled(geometry, image)
    pairs, kept, _ = geometry.halo_copies()
    for (target, source), mask in zip(pairs, kept, strict=True):
        shifted = memory[WIDTH + source : 2 * WIDTH + source]
        memory[WIDTH + target : 2 * WIDTH + target] = np.where(mask, shifted, 0)
    top, left, bottom, right = halo
    padded = np.pad(image, ((top, bottom + 64), (left, right + 64)))
    for lane in range(lanes.parts):
        down, across = divmod(lane, geometry.grid[1])
        rows, columns = geometry.box()
        found = memory[WIDTH + geometry.vector(rows, columns) * WIDTH + lane]
        y, x = rows + down * geometry.patch[0] + top, columns + across * geometry.patch[1] + left
        np.testing.assert_array_equal(found, padded[y, x])


@pytest.mark.parametrize("samples", [1, 4, 16])
@pytest.mark.parametrize("size", SIZES)
def test_a_copy_fills_pixels_and_halo_at_once(samples, size):
    geometry = best_geometry(Lanes(WIDTH, samples), size, (1, 1, 2, 1))
    places, rows, columns = geometry.filled()
    assert len(np.unique(places)) == len(places)
    image = np.arange(1, size[0] * size[1] + 1).reshape(size)
    memory = filled(geometry, image)
    inside = np.isin(places, geometry.elements)
    np.testing.assert_array_equal(memory[WIDTH + places[inside]], image[rows[inside], columns[inside]])


def test_a_strided_reader_sets_the_patches_where_that_is_cheap():
    lanes = Lanes(WIDTH, 1)
    small = best_geometry(lanes, (7, 7), (1, 1, 1, 1))
    fitted = best_geometry(lanes, (14, 14), (1, 1, 1, 1), [(small, (2, 2))])
    assert fitted.grid == small.grid
    assert fitted.patch == (2 * small.patch[0], 2 * small.patch[1])
