"""Calibration data of the main job: arrays, folders of images, none at all, too few."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from sim_compress.artifact import read
from tests.cli.networks import IMAGE, classifier, images, report, two_ends
from tests.frontend.graphs import node


@pytest.mark.parametrize("name", ["data.npy", "one.npz", "named.npz"])
def test_data_come_from_npy_and_npz(run, name):
    if name == "data.npy":
        np.save(name, images(33))
    elif name == "one.npz":
        np.savez(name, images(33))
    else:
        np.savez(name, images=images(33))
    assert run("net.onnx", "--target-sparsity", 40, "--data", name).code == 0
    assert report().calibration.source == name
    assert report().calibration.samples == 33


def write_images(folder: Path, count: int = 35) -> None:
    """Colour images of several sizes, some in a folder below."""
    rng = np.random.default_rng(0)
    (folder / "below").mkdir(parents=True)
    for number in range(count):
        pixels = rng.integers(0, 256, (8 + number % 3, 9, 3)).astype(np.uint8)
        place = folder / "below" if number % 2 else folder
        Image.fromarray(pixels).save(place / f"{number:03}.png")
    (folder / "notes.txt").write_text("not an image")


def test_a_folder_of_images_is_resized_and_the_run_says_so(run, folder):
    write_images(folder / "photos")
    code, _, err = run("net.onnx", "--target-sparsity", 40, "--data", "photos")
    assert code == 0
    assert "note: 35 images from photos, grey, resized to 6x6, pixels 0..255" in err
    assert report().calibration.samples == 35
    assert any("resized to 6x6" in text for text in report().notices)


def test_mean_and_std_scale_images(run, folder):
    write_images(folder / "photos")
    options = ("--data", "photos", "--mean", "0.5", "--std", "0.25")
    code, _, err = run("net.onnx", "--target-sparsity", 40, *options)
    assert code == 0
    assert "pixels as (pixel / 255 - 0.5) / 0.25" in err


def test_a_channels_last_network_takes_a_folder_of_images(run, folder):
    graph = classifier()
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = IMAGE[1]
    graph.graph.input[0].type.tensor_type.shape.dim[3].dim_value = IMAGE[0]
    graph.graph.node.insert(0, node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2]))
    graph.graph.node[1].input[0] = "first"
    onnx.save(graph, "last.onnx")
    write_images(folder / "photos")
    code, _, err = run("last.onnx", "--target-sparsity", 40, "--data", "photos")
    assert code == 0, err


def test_without_any_data_the_run_is_data_free_and_says_so_everywhere(run):
    Path("net.calibration.npz").unlink()
    code, out, err = run("net.onnx", "--target-sparsity", 40)
    assert code == 0
    assert "warning: no calibration data" in err
    assert "a guess from the sizes of the network's first layers" in err
    assert "data-free: smooth random images" in out
    assert report().calibration.data_free
    assert any("Do not trust the accuracy" in text for text in report().notices)
    provenance = read("net.sim.safetensors").provenance["calibration"]
    assert isinstance(provenance, dict)
    assert provenance["data_free"] is True


def test_a_data_free_run_depends_on_the_seed_and_on_nothing_else(run):
    Path("net.calibration.npz").unlink()
    hashes = []
    for seed in (0, 0, 1):
        assert run("net.onnx", "--target-sparsity", 40, "--seed", seed).code == 0
        hashes.append(report().artifact.digest)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_network_with_inputs_that_are_no_images_gets_normal_numbers(run):
    onnx.save(two_ends(), "two.onnx")
    code, out, _ = run("two.onnx", "--target-sparsity", 40)
    assert code == 0
    assert "normal random numbers" in out


def test_few_samples_are_warned_of_and_the_job_finishes(run):
    np.savez("few.npz", images=images(5))
    code, out, err = run("net.onnx", "--target-sparsity", 40, "--data", "few.npz")
    assert code == 0
    assert "warning: only 5 samples for calibration" in err
    assert "written" in out
    assert any("only 5 samples" in text for text in report().notices)
