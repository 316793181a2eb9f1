"""The judge gives the file's own outputs."""

from pathlib import Path

import numpy as np
import onnxruntime

from sim_compress.report.reference import teacher_outputs
from sim_compress.states import open_teacher

MODELS = Path(__file__).parents[2] / "models"
# The cleaned graph's fused operators round differently, relative to the largest output.
ROUNDING = 1e-5


def test_the_reference_gives_what_onnxruntime_gives_for_the_file():
    path = MODELS / "fashion_mlp.onnx"
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:9].astype(np.float32)
    (found,) = teacher_outputs(open_teacher(path))({"images": images}).values()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"images": images})
    assert isinstance(expected, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * float(np.abs(expected).max()))
