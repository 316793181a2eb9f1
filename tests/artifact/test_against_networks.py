"""An artifact is smaller than the network it came from, even where nothing of it was taken out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim_compress.artifact import encode, read, write
from sim_compress.certificate import certify
from sim_compress.frontend import load_teacher
from sim_compress.model import Affine, ImplicitModel
from sim_compress.runtime import Session

from .models import column, feedforward_model, looped_model

ROOT = Path(__file__).parents[2]
# The smallest files, and those with the most rows for their weights.
NETWORKS = (
    "models/fashion_mlp.onnx",
    "models/resnet20.onnx",
    "../shared/models/cifar10_resnet20_optA.onnx",
    "../shared/models/onnx/ACASXU_run2a_1_1_batch_2000.onnx",
    "../shared/models/onnx/Convnet_maxpool.onnx",
    "../shared/models/onnx/cifar10_small.onnx",
    "../shared/models/onnx/ffnnSIGMOID__Point_6x200.onnx",
    "../shared/models/onnx/mnist-net_256x2.onnx",
    "../shared/models/onnx/resnet_4b.onnx",
)
# As long as what a compression writes down of itself.
PROVENANCE = {
    "teacher": {"file": "network.onnx", "sha256": "0123456789abcdef" * 4, "parameters": 12345},
    "calibration": {"sha256": "fedcba9876543210" * 4, "samples": 512, "source": "network.calibration.npz"},
    "settings": {"target_sparsity": 0.01, "objective": "perspective", "kappa": 0.99, "solver": "native"},
    "alpha": 0.0123456789,
    "sparsity": 0.0123456789,
}


def with_biases(affine: Affine) -> Affine:
    """Compression gives every row with weights a bias."""
    return replace(affine, bias=column(affine.rows)) if affine.weighted and affine.bias is None else affine


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_taken_out_still_gives_a_smaller_file(name: str) -> None:
    path = ROOT / name
    if not path.exists():
        pytest.skip("../shared/models is absent")
    model = load_teacher(path).model
    model = ImplicitModel(
        model.inputs,
        tuple(replace(b, affine=with_biases(b.affine)) for b in model.blocks),
        tuple(replace(o, affine=with_biases(o.affine)) for o in model.outputs),
    )
    assert len(encode(model, certify(model), PROVENANCE)) < 0.9 * path.stat().st_size


def inputs_of(model: ImplicitModel) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {i.name: rng.standard_normal((3, *i.shape)).astype(i.dtype) for i in model.inputs}


@pytest.mark.parametrize("kernel", ["scipy", "numba"])
@pytest.mark.parametrize("name", ["resnet20", "fashion_mlp", "looped", "several inputs and outputs"])
def test_outputs_stay_the_same_to_the_bit(name: str, kernel: str, tmp_path: Path) -> None:
    made = {"looped": looped_model, "several inputs and outputs": feedforward_model}
    model = made[name]() if name in made else load_teacher(ROOT / f"models/{name}.onnx").model
    write(tmp_path / "m.safetensors", model, certify(model), {})
    inputs = inputs_of(model)
    expected = Session(model, kernel=kernel).predict(inputs)
    found = Session(read(tmp_path / "m.safetensors").model, kernel=kernel).predict(inputs)
    assert found.keys() == expected.keys()
    for output, values in expected.items():
        assert found[output].tobytes() == values.tobytes()
