"""Networks of several inputs, of ids, and of sizes that their file leaves open, on the command line."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.networks import report
from tests.frontend.graphs import random
from tests.frontend.test_inputs import LENGTH, WIDTH, WORDS, open_sizes, text_network, texts


@pytest.fixture
def text(folder) -> Path:
    """A network of ids and a mask in the current folder, with calibration data."""
    onnx.save(text_network(), folder / "text.onnx")
    feed = texts(64)
    np.savez(folder / "texts.npz", ids=feed["ids"], mask=feed["mask"])
    return Path("text.onnx")


def test_ids_and_a_mask_come_in_one_file_and_the_table_stays(run, text):
    code, out, err = run(text, "--target-sparsity", 50, "--data", "texts.npz")
    assert code == 0
    assert "parameters are in tables that ids are looked up in" in err
    assert "sparsity, all parameters" in out
    found = report_of("text")
    assert found.network.parameters == sum(b.parameters for b in found.blocks)
    table = next(b for b in found.blocks if b.name == "words")
    assert table.parameters == table.nonzeros == WORDS * WIDTH
    assert found.total_sparsity < found.sparsity
    assert run("evaluate", "text.sim.safetensors", "--data", "texts.npz", "--against", text).code == 0
    assert f"ids {LENGTH} int64, mask {LENGTH} int32" in run("inspect", "text.sim.safetensors").out


def report_of(stem: str):
    """The report of a network in the current folder."""
    Path(f"{stem}.sim.json").rename("net.sim.json")
    return report()


def test_made_up_ids_have_rows(run, text):
    code, _, err = run(text, "--target-sparsity", 30)
    assert code == 0
    assert "random whole numbers" in err


def test_an_id_without_a_row_is_bad_input(run, text):
    np.savez("wrong.npz", ids=np.full((4, LENGTH), WORDS), mask=texts(4)["mask"])
    code, _, err = run(text, "--target-sparsity", 30, "--data", "wrong.npz")
    assert code == 2
    assert f"input 'ids': sample 0 holds the id {WORDS}, expected 0..{WORDS - 1}" in err


def test_a_missing_input_is_named(run, text):
    np.savez("half.npz", ids=texts(4)["ids"])
    code, _, err = run(text, "--target-sparsity", 30, "--data", "half.npz")
    assert code == 2
    assert "expected an array for each input (ids, mask)" in err


def test_open_sizes_are_fixed_by_an_option(run, folder):
    onnx.save(open_sizes(), folder / "open.onnx")
    np.save(folder / "images.npy", random(40, 2, 7, 5))
    command = ("open.onnx", "--target-sparsity", 30, "--data", "images.npy")
    code, _, err = run(*command)
    assert code == 2
    assert "--input-shape x=1x2x?x?" in err
    assert run(*command, "--input-shape", "1x2x7x5").code == 0
    against = ("--against", "open.onnx", "--input-shape", "x=1x2x7x5")
    assert run("evaluate", "open.sim.safetensors", "--data", "images.npy", *against).code == 0


@pytest.mark.parametrize("text", ["x=1x2x", "x=axb", "1x0x3", "x="])
def test_a_shape_that_is_none_is_refused(run, text):
    code, _, err = run("net.onnx", "--target-sparsity", 30, "--input-shape", text)
    assert code == 2
    assert "expected sizes as 1x3x224x224" in err
