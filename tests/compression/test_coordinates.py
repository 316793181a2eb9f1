"""Values in the coordinates of the row problems and back: gradients follow, means and constants stay."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sim_compress.compression.tuning.coordinates import Coordinates
from sim_compress.core import Gram, RowProblems, standardise
from sim_compress.model import Affine, Patches, Term
from sim_compress.runtime.reverse.lanes import Floats
from sim_compress.states import row_groups, teacher_rows
from tests.networks import bias, weight

# Of values that are stored in float32, relative to the largest product that is summed.
ROUNDING = 1e-6
PATCHES = Patches((2, 2), (2, 2), (1, 1), (0, 0), (0, 0))


def one() -> Affine:
    """Rows over two sources, of which one has no bias."""
    b = bias(5)
    b[3] = 0
    return Affine((5,), (Term("u", (), weight(5, 7)), Term("v", (), weight(5, 4, seed=1))), b)


def grouped() -> Affine:
    """A convolution in two groups."""
    own = np.zeros((6, 16), np.float32)
    own[:3, :8], own[3:, 8:] = weight(3, 8).toarray(), weight(3, 8, seed=1).toarray()
    rows = weight(6, 16)
    rows = type(rows)(own)
    return Affine((6, 3, 3), (Term("u", (PATCHES,), rows, groups=2),), bias(6))


def unbiased() -> Affine:
    return replace(one(), bias=None)


def problems(affine: Affine, ratio: float = 1e3) -> list[RowProblems]:
    """Features of several units whose means are so many deviations."""
    rng, found = np.random.default_rng(2), []
    for group in row_groups(affine):
        unit = 10.0 ** rng.uniform(-3, 3, group.width)
        S = unit[:, None] * (ratio + rng.standard_normal((group.width, 50)))
        W = teacher_rows(affine, group)
        found.append(standardise(Gram.of(S, W @ S), W, 0.0))
    return found


def parameters(affine: Affine) -> list[Floats]:
    own = [w.data.astype(np.float32) for w in affine.weights]
    return own if affine.bias is None else [*own, affine.bias.copy()]


def move_by(coordinates: Coordinates, moves: Sequence[Floats | float]) -> None:
    for values, move in zip(coordinates.values, moves, strict=True):
        values[:] = values + move


def as_they_were(affine: Affine, own: list[Floats]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(own, parameters(affine), strict=True))


AFFINES = pytest.mark.parametrize(
    "affine", [one(), grouped(), unbiased()], ids=["one", "grouped", "unbiased"]
)


@AFFINES
def test_values_that_do_not_move_give_the_parameters_back(affine):
    own = parameters(affine)
    Coordinates(affine, problems(affine), own).write()
    for found, wanted in zip(own[: len(affine.weights)], parameters(affine), strict=False):
        np.testing.assert_allclose(found, wanted, rtol=ROUNDING)


@AFFINES
def test_gradients_are_those_of_the_values(affine):
    """Along a random direction, of a linear function of the parameters."""
    rng, own = np.random.default_rng(3), parameters(affine)
    coordinates = Coordinates(affine, problems(affine, ratio=3.0), own)
    coordinates.write()
    start = [p.astype(np.float64) for p in own]
    # Rows without a bias have no gradient there.
    slopes = [rng.standard_normal(p.shape).astype(np.float32) * (p != 0) for p in own]
    moves = [rng.standard_normal(v.shape).astype(np.float32) for v in coordinates.values]
    gradients = coordinates.gradients(slopes)
    move_by(coordinates, moves)
    coordinates.write()
    terms = [s * (p - before) for s, p, before in zip(slopes, own, start, strict=True)]
    wanted = sum(float((g.astype(np.float64) * m).sum()) for g, m in zip(gradients, moves, strict=True))
    scale = sum(float(np.abs(t).sum()) for t in terms)
    assert sum(float(t.sum()) for t in terms) == pytest.approx(wanted, abs=10 * ROUNDING * scale)


def test_weights_that_move_leave_the_mean_of_a_row_with_a_bias():
    affine = one()
    own, (design,) = parameters(affine), problems(affine)
    coordinates = Coordinates(affine, [design], own)

    def means() -> np.ndarray:
        dense = np.zeros((5, 11))
        for weights, values, first in zip(affine.weights, own, (0, 7), strict=False):
            row, column = weights.nonzero()
            dense[row, first + column] = values
        return dense @ design.feature_mean + own[-1]

    before = means()
    move_by(coordinates, [0.1, 0.1, 0.0])
    coordinates.write()
    biased = affine.bias != 0
    deviations = np.abs(means() - before) / design.row_scale
    # A bias of a thousand deviations keeps four digits of one.
    assert deviations[biased].max() < 1e-3
    assert own[-1][~biased] == 0


def test_what_does_not_vary_stays():
    affine = one()
    own, (design,) = parameters(affine), problems(affine)
    scale, rows = design.feature_scale.copy(), design.row_scale.copy()
    scale[[0, 8]], rows[2] = 0.0, 0.0
    coordinates = Coordinates(affine, [replace(design, feature_scale=scale, row_scale=rows)], own)
    move_by(coordinates, [1.0, 1.0, 1.0])
    coordinates.write()
    for number, (weights, column) in enumerate(zip(affine.weights, (0, 1), strict=True)):
        row, place = weights.nonzero()
        # To a row without a bias a constant feature is one.
        stays = ((place == column) & (row != 3)) | (row == 2)
        assert np.array_equal(own[number] == weights.data, stays)
    assert own[-1][2] == bias(5)[2]


def test_where_nothing_varies_nothing_moves():
    affine = one()
    own, (design,) = parameters(affine), problems(affine)
    still = replace(design, row_scale=np.zeros(5))
    coordinates = Coordinates(affine, [still], own)
    move_by(coordinates, [1.0, 1.0, 1.0])
    coordinates.write()
    assert as_they_were(affine, own)
