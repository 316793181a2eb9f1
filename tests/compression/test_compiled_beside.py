"""A compression whose kernels are not on disk: the companion compiles them, for the types that it calls."""

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

from sim_compress import Settings, compress
from sim_compress.compression import KERNELS
from sim_compress.core import row_threads
from sim_compress.core.refit import ENTRIES as REFIT
from sim_compress.core.solvers.rows import ENTRIES as ROWS
from tests.cli.networks import classifier, images

SETTINGS = Settings(target_sparsity=0.8, tune=1)
SCRIPT = f"""
import sys
from importlib import import_module
import numpy as np
from sim_compress import Settings, compress

compress("net.onnx", np.load("images.npy"), {SETTINGS!r}).save("cold.safetensors")
for name in {KERNELS!r}[:-1]:
    for kernel in import_module(name).ENTRIES:
        hits, misses = (sum(s.values()) for s in (kernel.stats.cache_hits, kernel.stats.cache_misses))
        print(kernel.py_func.__name__, hits, misses)
"""


def test_nothing_is_compiled_in_the_job_and_the_artifact_is_the_same(tmp_path):
    onnx.save(classifier(), tmp_path / "net.onnx")
    np.save(tmp_path / "images.npy", images())
    compress(tmp_path / "net.onnx", images(), SETTINGS).save(tmp_path / "warm.safetensors")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "NUMBA_CACHE_DIR": str(tmp_path / "compiled"),
        "NUMBA_NUM_THREADS": "2",
    }
    command = [sys.executable, "-c", SCRIPT]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    counts = {name: counts for name, *counts in map(str.split, run.stdout.splitlines())}
    assert counts["solve_rows"] == ["1", "0"]
    assert all(misses == "0" for _, misses in counts.values()), counts
    assert (tmp_path / "cold.safetensors").read_bytes() == (tmp_path / "warm.safetensors").read_bytes()


@pytest.mark.parametrize("settings", [SETTINGS, Settings(target_sparsity=0.4, tune=0, kappa=0.9)])
def test_the_types_that_are_compiled_are_those_that_are_called(tmp_path, monkeypatch, settings):
    called: dict[object, set[tuple[object, ...]]] = {}

    def note(kernel, *arguments) -> None:
        called.setdefault(kernel, set()).add(tuple(map(kernel.typeof_pyval, arguments)))

    monkeypatch.setattr(row_threads, "ready", note)
    monkeypatch.setattr(row_threads.numba, "get_num_threads", lambda: 2)
    onnx.save(classifier(), tmp_path / "net.onnx")
    compress(tmp_path / "net.onnx", images(), settings)
    assert called == {kernel: {kinds} for kernel, kinds in {**ROWS, **REFIT}.items()}
