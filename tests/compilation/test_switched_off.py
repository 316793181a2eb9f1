"""NUMBA_DISABLE_JIT, as debuggers and coverage set it: everything works, slowly."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx

from sim_compress import Session, Settings, compress
from tests.cli.networks import classifier, images

SCRIPT = """
import json
import numpy as np
from sim_compress import Session, Settings, compress
from sim_compress.errors import InputError

inputs = np.load("images.npy")
model = compress("net.onnx", inputs, Settings(target_sparsity=0.5, tune=1)).model
sessions = Session(model), Session(model)
try:
    Session(model, kernel="numba")
    refusal = ""
except InputError as error:
    refusal = str(error)
outputs = np.asarray(sessions[0](inputs)).tolist()
print(json.dumps([[s.kernel for s in sessions], refusal, model.nnz, outputs]))
"""


def test_compression_and_models_work_where_numba_does_not_compile(tmp_path):
    onnx.save(classifier(), tmp_path / "net.onnx")
    np.save(tmp_path / "images.npy", images())
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    kernels, refusal, nnz, outputs = json.loads(run.stdout)
    off = "NUMBA_DISABLE_JIT is set, so numba compiles nothing"
    assert kernels == ["scipy", "scipy"]
    assert run.stderr == f"{off}: models run on the slower kernel 'scipy'\n"
    assert refusal == f"kernel='numba': {off}; unset that, or use the slower kernel='scipy'"
    compiled = compress(tmp_path / "net.onnx", images(), Settings(target_sparsity=0.5, tune=1))
    assert nnz == compiled.model.nnz
    np.testing.assert_allclose(outputs, Session(compiled.model)(images()), rtol=1e-3, atol=1e-3)
