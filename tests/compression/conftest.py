"""The dense network that ships, for tests of the whole pipeline that must be quick."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress import Teacher, open_teacher

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return open_teacher(MODELS / "fashion_mlp.onnx")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(MODELS / "fashion_mlp.calibration.npz")["images"]
