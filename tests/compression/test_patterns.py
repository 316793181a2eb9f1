"""Supports that hardware asks for: every row of the result has the pattern, where hardware reads it."""

from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from sim_compress import Settings, compress, open_teacher
from sim_compress.compression.rows.patterns import neighbours, pattern_of
from sim_compress.errors import InputError
from sim_compress.export import to_onnx
from sim_compress.model import Affine, Term
from sim_compress.states import row_groups
from tests.networks import patches, residual_network, weight

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def mlp():
    return open_teacher(MODELS / "fashion_mlp.onnx")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:128]


def weights_of(model) -> list[np.ndarray]:
    """Every weight of the exported graph with more than one axis, input features or channels last."""
    proto = to_onnx(model).graph
    used = {n.input[1]: n.op_type for n in proto.node if n.op_type in ("Conv", "Gemm")}
    from onnx import numpy_helper

    found = {c.name: numpy_helper.to_array(c) for c in proto.initializer if c.name in used}
    return [np.moveaxis(w, 1, -1) for w in found.values()]


def fullest(weights: np.ndarray, m: int) -> int:
    """Most nonzeros among m neighbours, rows padded with zeros as hardware does."""
    short = -weights.shape[-1] % m
    padded = np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, short)])
    return int(np.count_nonzero(padded.reshape(-1, m), axis=1).max())


@pytest.mark.parametrize(("pattern", "n", "m"), [("2:4", 2, 4), ("4:8", 4, 8), ("1:3", 1, 3)])
def test_no_group_of_neighbours_holds_more_than_its_quota(mlp, images, pattern, n, m):
    result = compress(mlp, images, Settings(1 - n / m, pattern=pattern))
    for w in weights_of(result.model):
        assert fullest(w, m) == n
    # Beside the biases, which stay, and the last group of 784 inputs, which may be short.
    assert result.sparsity == pytest.approx(1 - n / m, abs=0.005)
    assert result.provenance["settings"] == asdict(Settings(1 - n / m, pattern=pattern))


def test_a_convolutions_neighbours_are_input_channels_at_one_place_of_the_kernel():
    network = np.load(MODELS / "resnet20.calibration.npz")["images"][:16]
    result = compress(MODELS / "resnet20.onnx", network, Settings(0.5, pattern="2:4", nearest_rounds=0))
    wide = [w for w in weights_of(result.model) if w.shape[-1] > 1]
    assert len(wide) == 21
    assert all(fullest(w, 4) == 2 for w in wide)


@pytest.mark.parametrize("pattern", ["block:1x4", "block:4x1", "block:2x5"])
def test_tiles_are_kept_or_dropped_together(mlp, images, pattern):
    r, c = map(int, pattern.removeprefix("block:").split("x"))
    result = compress(mlp, images, Settings(0.6, pattern=pattern))
    assert result.sparsity == pytest.approx(0.6, abs=0.001)
    for w in weights_of(result.model):
        present = w != 0
        # A pixel that never changes has no weight, in a tile that is kept neither.
        alive = present.any(axis=0)
        for i, j in product(range(0, len(w), r), range(0, w.shape[1], c)):
            tile = present[i : i + r, j : j + c][:, alive[j : j + c]]
            assert tile.all() or not tile.any()


def test_the_last_neighbours_are_a_short_group():
    affine = Affine((4, 6, 6), (Term("u", (patches(2),), weight(4, 20)),))
    numbers = neighbours(affine, row_groups(affine)[0], 2).reshape(5, 2, 2)
    for place in np.ndindex(2, 2):
        np.testing.assert_array_equal(np.diff(numbers[:, *place]), [0, 1, 0, 1])
    assert len(np.unique(numbers)) == 12


def test_groups_of_a_convolution_and_several_sources_have_groups_of_their_own():
    for _, affine in residual_network().affines():
        for group in row_groups(affine):
            numbers = neighbours(affine, group, 4)
            assert len(numbers) == group.width
            assert set(numbers) == set(range(numbers.max() + 1))
            assert np.bincount(numbers).max() <= 4


@pytest.mark.parametrize("states", ["baseline", "regenerated"])
def test_patterns_go_with_both_kinds_of_states(mlp, images, states):
    result = compress(mlp, images, Settings(0.5, states=states, pattern="2:4"))
    assert all(fullest(w, 4) == 2 for w in weights_of(result.model))


def test_blocks_that_matter_keep_more_tiles(mlp, images):
    rows = Settings(0.8, pattern="block:1x4", allocation="output")
    kept = [
        a.nnz / (a.rows * a.weights[0].toarray().shape[1])
        for _, a in compress(mlp, images, rows).model.affines()
    ]
    assert max(kept) > 2 * min(kept)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4:2", "0 < N < M"),
        ("0:4", "0 < N < M"),
        ("block:0x4", "without entries"),
        ("block:4", "unknown pattern"),
        ("half", "unknown pattern"),
        ("", "unknown pattern"),
    ],
)
def test_other_patterns_are_refused_with_those_there_are(text, reason):
    with pytest.raises(InputError, match=reason):
        pattern_of(text)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"target_sparsity": 0.6, "pattern": "2:4"}, "removes 50 %.*60 % is asked"),
        ({"target_sparsity": 0.5, "pattern": "2:4", "targets": {"x": 0.3}}, "30 % is asked"),
        ({"target_sparsity": 0.5, "pattern": "2:4", "matching": "exact"}, "decides the supports itself"),
    ],
)
def test_a_pattern_that_contradicts_other_settings_is_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        Settings(**settings)


def test_a_network_sparser_than_the_pattern_is_refused(mlp, images, tmp_path):
    compress(mlp, images, Settings(0.8, nearest_rounds=0)).save(tmp_path / "sparse.safetensors")
    with pytest.raises(InputError, match="choose a pattern that keeps fewer"):
        compress(tmp_path / "sparse.safetensors", images, Settings(0.5, pattern="2:4"))
