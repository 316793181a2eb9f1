"""Full support: loops that settle, within kappa, better rows or a refusal."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress import Settings, compress, load
from sim_compress.certificate import verify
from sim_compress.errors import UnsupportedError
from sim_compress.runtime import Session, schedule
from tests.frontend.graphs import graph_of, node, random, saved

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(MODELS / "fashion_mlp.calibration.npz")["images"]


@pytest.fixture(scope="module")
def result(images):
    return compress(MODELS / "fashion_mlp.onnx", images, Settings(0.75, support="full"))


def test_rows_use_states_the_network_did_not_wire_to_them(result):
    assert any(stage.cyclic for stage in schedule(result.model))
    assert result.provenance["sparsity"] == pytest.approx(0.75, abs=0.001)


def test_no_row_uses_its_own_state(result):
    for block in result.model.blocks:
        for term in block.affine.weighted:
            if term.source == block.name:
                assert term.weight is not None
                assert not term.weight.diagonal().any()


def test_the_loop_is_certified_within_kappa_and_survives_the_file(result, images, tmp_path):
    assert result.certificate.kind == "norm"
    assert result.certificate.bound <= 0.99 * (1 + 1e-6)
    verify(result.model, result.certificate)
    result.save(tmp_path / "full.sim.safetensors")
    np.testing.assert_array_equal(
        load(tmp_path / "full.sim.safetensors")(images[:5]), Session(result.model)(images[:5])
    )


def test_accuracy_is_that_of_the_networks_own_support(result):
    data = np.load(MODELS / "fashion_mnist.evaluation.npz")
    accuracy = (Session(result.model)(data["images"]).argmax(1) == data["labels"]).mean()
    # 88.7 % on all 10,000 test images, where the dense network has 88.8 %.
    assert accuracy > 0.875


def test_tied_rows_are_refused(images):
    with pytest.raises(UnsupportedError, match="tied or grouped"):
        compress(MODELS / "resnet20.onnx", images[:4], Settings(0.5, support="full"))


def test_a_product_of_states_has_no_full_support(tmp_path):
    nodes = [
        node("Gemm", ["x", "w"], ["a"], "rows"),
        node("Sigmoid", ["a"], ["s"], "gate"),
        node("Mul", ["s", "x"], ["y"], "gated"),
    ]
    path = saved(tmp_path, graph_of(nodes, {"x": (4,)}, {"w": random(4, 4)}))
    with pytest.raises(UnsupportedError, match="phi = product of block 'gated' has no Lipschitz constant"):
        compress(path, random(20, 4), Settings(0.3, support="full"))
