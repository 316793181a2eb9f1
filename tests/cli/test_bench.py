"""sim-compress bench FILE --against MODEL: both runtimes side by side."""

import json

import numpy as np
import onnx
import pytest

from tests.frontend.graphs import random
from tests.frontend.test_whole_samples import CONSTANTS, SQUEEZED, fixed


def test_every_batch_size_has_a_line(run, compressed):
    code, out, _ = run("bench", compressed, "--against", "net.onnx", "--batch", 1, 3, "--rounds", 2)
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("│")]
    sizes = [line.strip("│").split("│")[0].strip() for line in lines]
    # Where figures are long a row has a second line, without its size.
    assert [size for size in sizes if size] == ["1", "3"]
    assert "kernel numba" in out


def test_json_holds_the_figures(run, compressed):
    options = ("--against", "net.onnx", "--batch", 2, "--rounds", 2, "--threads", 1, "--json")
    document = json.loads(run("bench", compressed, *options).out)
    (speed,) = document["speeds"]
    assert (speed["batch"], speed["threads"], document["kernel"]) == (2, 1, "numba")
    assert speed["low"] <= speed["ratio"] <= speed["high"]


def test_the_network_must_be_named_and_be_there(run, compressed):
    code, _, err = run("bench", compressed)
    assert code == 2
    assert "--against" in err
    code, _, err = run("bench", compressed, "--against", "none.onnx")
    assert code == 2
    assert "none.onnx" in err


def with_batch(size: int) -> None:
    """The network with a batch that its file fixes, and its artifact."""
    graph = onnx.load("net.onnx")
    for value in (*graph.graph.input, *graph.graph.value_info, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = size
    onnx.save(graph, "net.onnx")


@pytest.mark.parametrize("size", [1, 4])
def test_a_network_with_a_fixed_batch_is_timed_with_that_and_it_is_said(run, size):
    with_batch(size)
    assert run("net.onnx", "--target-sparsity", 50).code == 0
    job = ("bench", "net.sim.safetensors", "--against", "net.onnx", "--rounds", 1, "--json")
    code, out, err = run(*job)
    assert code == 0, err
    assert [speed["batch"] for speed in json.loads(out)["speeds"]] == [size]
    assert f"note: net.onnx takes a batch of {size} alone: both are timed with that" in err
    assert run(*job, "--batch", size).code == 0
    code, out, err = run(*job, "--batch", size, 7)
    assert (code, out) == (2, "")
    assert err == (
        f"error: --batch {size} 7: net.onnx takes a batch of {size} alone: leave --batch out, or export the "
        "network with an open batch\n"
    )


def test_a_file_whose_axes_are_all_those_of_one_sample_is_timed_on_one(run):
    onnx.save(fixed(SQUEEZED, {"x": (1, 2, 5, 5)}, CONSTANTS), "net.onnx")
    np.savez("net.calibration.npz", x=random(64, 1, 2, 5, 5))
    assert run("net.onnx", "--target-sparsity", 50).code == 0
    code, out, err = run("bench", "net.sim.safetensors", "--against", "net.onnx", "--rounds", 1, "--json")
    assert code == 0, err
    assert [speed["batch"] for speed in json.loads(out)["speeds"]] == [1]


def test_every_step_is_named_with_its_share_of_the_time(run, compressed):
    options = ("--against", "net.onnx", "--batch", 1, "--rounds", 1, "--per-step")
    code, out, _ = run("bench", compressed, *options)
    assert code == 0
    assert "steps of the first chunk at batch 1" in out
    assert "inputs" in out
    (measured,) = json.loads(run("bench", compressed, *options, "--json").out)["steps"]
    assert measured["batch"] == 1
    assert all(step["seconds"] > 0 for step in measured["steps"])
    assert sum(step["products"] for step in measured["steps"]) > 0
