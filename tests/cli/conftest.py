"""A folder with a small network and its data, and command lines run in it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest

from sim_compress.cli import main
from sim_compress.compression.resume import folder as run_folders
from tests.cli.networks import classifier, images, labels


class Outcome(NamedTuple):
    """What a command line gave."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def narrow(monkeypatch) -> None:
    """Tables as for a file or pipe, 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_results_on_the_way(monkeypatch) -> None:
    """Run folders are written where a test asks for them, and not because a machine is slow."""
    monkeypatch.setattr(run_folders, "LEAST", float("inf"))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder: a network, its calibration data and a labelled evaluation set."""
    onnx.save(classifier(), tmp_path / "net.onnx")
    np.savez(tmp_path / "net.calibration.npz", images=images())
    np.savez(tmp_path / "evaluation.npz", images=images(20, seed=1), labels=labels(20))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, capsys) -> Run:
    """Runs a command line in the folder, in this process."""

    def outcome(*arguments: object) -> Outcome:
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    assert folder.is_dir()
    return outcome


@pytest.fixture
def compressed(run) -> Path:
    """An artifact of the network at 50 %, its report beside it."""
    assert run("net.onnx", "--target-sparsity", 50).code == 0
    return Path("net.sim.safetensors")
