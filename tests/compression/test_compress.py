"""The pipeline on the network that ships: target met, bytes repeated, teacher matched, bad input refused."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from sim_compress import Compressed, Settings, compress, load
from sim_compress.certificate import norm_bound, row_scaling, verify
from sim_compress.compression.rows.problems import HEADROOM
from sim_compress.errors import DataError, InputError
from sim_compress.model import rounded
from sim_compress.runtime import Session

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def half(teacher, images) -> Compressed:
    """The network at 50 %, with settings as they are."""
    return compress(teacher, images, Settings(0.5))


@pytest.mark.parametrize("objective", ["perspective", "l1"])
@pytest.mark.parametrize("target", [0.3, 0.8])
def test_the_achieved_sparsity_is_within_a_tenth_of_a_point(teacher, images, objective, target):
    result = compress(teacher, images, Settings(target, objective))
    assert 1 - result.model.nnz / teacher.model.nnz == pytest.approx(target, abs=0.001)
    assert result.provenance["sparsity"] == 1 - result.model.nnz / teacher.model.nnz
    verify(result.model, result.certificate)


def test_the_compressed_network_keeps_its_accuracy(teacher, images):
    data = np.load(MODELS / "fashion_mnist.evaluation.npz")

    def accuracy(model) -> float:
        return float((Session(model)(data["images"]).argmax(1) == data["labels"]).mean())

    result = compress(teacher, images, Settings(0.6))
    # 0.4 point lower on all 10,000 test images; 4,000 of them resolve half a point.
    assert accuracy(result.model) >= accuracy(teacher.model) - 0.012


def test_the_same_call_gives_the_same_bytes(teacher, images, half, tmp_path):
    half.save(tmp_path / "a")
    compress(teacher, images, Settings(0.5)).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    np.testing.assert_array_equal(load(tmp_path / "a")(images[:3]), load(tmp_path / "b")(images[:3]))


@pytest.mark.parametrize("kappa", [0.5, 0.99])
def test_rows_keep_kappa_in_scaled_coordinates(teacher, images, half, kappa):
    scaling = row_scaling(teacher.model, kappa, HEADROOM)
    same = kappa == half.settings.kappa
    result = half if same else compress(teacher, images, Settings(0.5, kappa=kappa))
    # The cast of the rows to float32 may add this much.
    assert norm_bound(result.model, scaling) <= kappa * (1 + 1e-6)


@pytest.mark.parametrize("samples", [2, 16])
def test_a_handful_of_samples_still_gives_a_model_close_to_the_teacher(teacher, images, samples):
    result = compress(teacher, images[:samples], Settings(0.3))
    agree = Session(result.model)(images).argmax(1) == Session(teacher.model)(images).argmax(1)
    assert agree.mean() > 0.8


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[:0], "no samples"),
        (lambda x: np.full_like(x, 7), "all calibration samples are the same"),
        (lambda x: np.where(np.arange(len(x)) == 3, np.nan, x.T).T, "sample 3 holds NaN"),
        (lambda x: x[:, :, :27], r"expected shape \('samples', 1, 28, 28\)"),
        (lambda x: {"pixels": x}, r"expected the inputs \['images'\]"),
        (lambda x: x.astype(str), "dtype <U"),
    ],
)
def test_calibration_data_that_say_nothing_are_refused(teacher, images, spoil, message):
    with pytest.raises(DataError, match=message):
        compress(teacher, spoil(images[:8]), Settings(0.5))


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, 40, float("nan")])
def test_a_target_outside_its_range_is_refused(target):
    with pytest.raises(InputError, match="target sparsity"):
        Settings(target)


def test_a_target_that_leaves_only_biases_names_the_highest_one(teacher, images):
    with pytest.raises(InputError, match=r"ask for less than 99\.8 %"):
        compress(teacher, images, Settings(0.9999))


@pytest.mark.parametrize("settings", [{"objective": "l0"}, {"kappa": 1.0}, {"kappa": float("nan")}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match=r"objective|kappa"):
        Settings(0.5, **settings)


@pytest.mark.parametrize("values", ["float16", "bfloat16"])
def test_values_in_half_precision_are_what_is_proven_and_stored(teacher, images, tmp_path, values):
    result = compress(teacher, images, Settings(0.6, values=values))
    stored = rounded(result.model, values)
    assert all(
        np.array_equal(a.data, b.data)
        for (_, one), (_, two) in zip(result.model.affines(), stored.affines(), strict=True)
        for a, b in zip(one.weights, two.weights, strict=True)
    )
    verify(result.model, result.certificate)
    assert result.provenance["settings"] == asdict(Settings(0.6, values=values))
    # Half of what float32 may take at 60 %.
    assert result.save(tmp_path / "half.sim.safetensors") < 0.23 * teacher.size
    assert np.array_equal(
        load(tmp_path / "half.sim.safetensors")(images[:8]), Session(result.model)(images[:8])
    )


def test_values_of_no_known_format_are_refused():
    with pytest.raises(InputError, match="unknown values 'int8'; choose one of float32, float16, bfloat16"):
        Settings(0.5, values="int8")
