"""Processors with fewer instructions than this one give the same answers, to rounding.

Every set has processes of its own: numba reads what it compiles for when it is imported.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import onnx
import pytest

from sim_compress.artifact import Artifact, read
from sim_compress.model import ImplicitModel
from tests.cli.networks import classifier, images

ROOT = Path(__file__).parents[1]
SSE2 = ("sse", "sse2")
AVX = (*SSE2, "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx")
SETS = {"AVX2 with FMA": (*AVX, "avx2", "fma"), "AVX": AVX, "SSE2": SSE2}
# What computes with compiled code. torch's part of the runtime has none, how processes fork and what is in a
# copy has nothing to do with instructions, and what is compiled for ARM is the same on any of these.
ELSEWHERE = ["autograd", "test_forks.py", "test_copies.py", "test_memory.py", "compiled/test_arm.py"]
IGNORED = [f"--ignore=tests/runtime/{path}" for path in ELSEWHERE]
# Of several networks of one kind the one that ships; large problems run the code of small ones.
LONG = "cifar or shipped_network or more_pixels or many_thousand"
SUITE = ["tests/runtime", *IGNORED, "tests/core/solvers/test_native.py", "-k", f"not ({LONG})"]
Run = subprocess.CompletedProcess[str]
# Values after some steps of gradient descent in float32, relative to the largest of a matrix.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("network") / "small.onnx"
    onnx.save(classifier(), path)
    np.save(path.with_suffix(".npy"), images(200))
    return path


def missing(name: str) -> list[str]:
    """Instructions of a set that this processor does not have."""
    return [i for i in SETS[name] if not llvm.get_host_cpu_features().get(i)]


@pytest.fixture(scope="module")
def environments(tmp_path_factory) -> dict[str, dict[str, str]]:
    """Of processes that have only one set, with their own compiled code."""
    return {
        name: {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NUMBA_CPU_NAME": "x86-64",
            "NUMBA_CPU_FEATURES": ",".join(f"+{i}" for i in instructions),
            "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        }
        for name, instructions in SETS.items()
        if not missing(name)
    }


@pytest.fixture(scope="module")
def suites(environments) -> Iterator[dict[str, Future[Run]]]:
    """The numerical suite with every set, as many side by side as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            name: pool.submit(started, environment, "pytest", *SUITE, "-p", "no:cacheprovider")
            for name, environment in environments.items()
        }


@pytest.fixture(params=SETS)
def name(request) -> str:
    """Of a set that this processor has."""
    if missing(request.param):
        pytest.skip(f"this processor has no {', '.join(missing(request.param))}")
    return request.param


def started(environment: dict[str, str], *arguments: str) -> Run:
    """A module of Python in a process of its own."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def assert_ended_well(run: Run) -> None:
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-5000:]


def compressed(environment: dict[str, str], network: Path, target: Path) -> Artifact:
    """The main job: a network of a convolution and dense rows at 80 %, tuned."""
    data = ["--data", str(network.with_suffix(".npy")), "-o", str(target)]
    job = ["--target-sparsity", "80", "--tune", "3"]
    assert_ended_well(started(environment, "sim_compress", str(network), *job, *data))
    return read(target)


@pytest.fixture(scope="module")
def native(network, tmp_path_factory) -> Artifact:
    target = tmp_path_factory.mktemp("native") / "small.sim.safetensors"
    return compressed({**os.environ, "PYTHONPATH": str(ROOT)}, network, target)


def test_the_numerical_suite_passes(suites, name):
    assert_ended_well(suites[name].result())


def test_compression_gives_the_same_supports_and_values_to_rounding(
    environments, name, network, native, tmp_path
):
    found = compressed(environments[name], network, tmp_path / "small.sim.safetensors")
    assert found.provenance["processor"] != native.provenance["processor"]
    assert_alike(found.model, native.model)


def assert_alike(model: ImplicitModel, other: ImplicitModel) -> None:
    for (name, rows), (_, expected) in zip(model.affines(), other.affines(), strict=True):
        for term, wanted in zip(rows.terms, expected.terms, strict=True):
            if term.weight is None or wanted.weight is None:
                continue
            np.testing.assert_array_equal(term.weight.indptr, wanted.weight.indptr, name)
            np.testing.assert_array_equal(term.weight.indices, wanted.weight.indices, name)
            largest = np.abs(wanted.weight.data).max()
            np.testing.assert_allclose(
                term.weight.data, wanted.weight.data, 0, ROUNDING * largest, err_msg=name
            )
        if rows.bias is not None and expected.bias is not None:
            np.testing.assert_allclose(rows.bias, expected.bias, ROUNDING, ROUNDING, err_msg=name)
