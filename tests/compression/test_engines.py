"""Rows on baseline states: the same bytes from this process and from any engine."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress import Compressed, Settings, compress
from sim_compress.core.engines import engine
from sim_compress.runtime import Session

MODELS = Path(__file__).parents[2] / "models"


def run(name: str | None, folder: Path) -> tuple[bytes, Compressed]:
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"]
    settings, path = Settings(0.5, states="baseline"), folder / "model.sim.safetensors"
    if name is None:
        result = compress(MODELS / "fashion_mlp.onnx", images, settings)
    else:
        with engine(name) as workers:
            result = compress(MODELS / "fashion_mlp.onnx", images, settings, engine=workers)
    result.save(path)
    return path.read_bytes(), result


@pytest.mark.parametrize("name", ["serial", "processes"])
def test_an_engine_gives_the_bytes_of_this_process(name, tmp_path):
    assert run(name, tmp_path)[0] == run(None, tmp_path)[0]


def test_baseline_states_keep_the_accuracy_at_moderate_sparsity(tmp_path):
    data = np.load(MODELS / "fashion_mnist.evaluation.npz")
    scores = Session(run(None, tmp_path)[1].model)(data["images"])
    # 88.6 % dense on these 4,000 images.
    assert (scores.argmax(1) == data["labels"]).mean() > 0.87
