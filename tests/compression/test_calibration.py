"""Calibration inputs as users hold them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim_compress.compression.calibration import LOADER_SAMPLES, opened
from sim_compress.errors import DataError
from tests.cli.networks import two_ends
from tests.frontend.graphs import graph_of, node, random, saved


@pytest.fixture
def one(tmp_path) -> Path:
    return saved(tmp_path, graph_of([node("Gemm", ["x", "w"], ["y"])], {"x": (3,)}, {"w": random(3, 2)}))


@pytest.fixture
def two(tmp_path) -> Path:
    return saved(tmp_path, two_ends())


def inputs(network: Path, calibration: Any) -> dict[str, np.ndarray]:
    return dict(opened(network, calibration).inputs)


def test_an_array_is_the_only_input(one):
    assert inputs(one, [[1, 2, 3]])["x"].shape == (1, 3)


def test_arrays_in_a_list_are_batches_or_by_their_shape_samples_of_the_file(one):
    batches = [random(4, 3), random(4, 3, seed=1)]
    np.testing.assert_array_equal(inputs(one, batches)["x"], np.concatenate(batches))
    np.testing.assert_array_equal(inputs(one, tuple(batches))["x"], np.concatenate(batches))
    np.testing.assert_array_equal(inputs(one, list(batches[0]))["x"], batches[0])


def test_an_array_for_each_input_is_one_batch(two):
    left, right = random(4, 6), random(4, 6, seed=1)
    found = inputs(two, (left, right))
    np.testing.assert_array_equal(found["left"], left)
    np.testing.assert_array_equal(found["right"], right)


def test_keys_of_a_dict_that_the_network_does_not_take_are_left_out_and_said(two):
    found = opened(two, {"right": random(4, 6), "left": random(4, 6), "label": np.arange(4), "path": "a"})
    assert set(found.inputs) == {"left", "right"}
    assert found.notes == ("the data's label, path were left out",)


def test_batches_of_a_loader_are_joined(one):
    batches = [random(4, 3), random(2, 3, seed=1)]
    np.testing.assert_array_equal(inputs(one, iter(batches))["x"], np.concatenate(batches))


def test_entries_behind_the_inputs_are_left_out_and_said(two):
    found = opened(two, ((random(4, 6), random(4, 6, seed=1), np.arange(4)) for _ in range(2)))
    assert list(found.inputs) == ["left", "right"]
    assert found.notes == ("the last 1 of 3 entries of every batch (labels) were left out",)


def test_batches_may_be_dicts_with_more_than_the_inputs(two):
    found = opened(two, iter([{"label": 1, "right": random(4, 6), "left": random(4, 6)}]))
    assert {name: len(a) for name, a in found.inputs.items()} == {"left": 4, "right": 4}
    assert found.notes == ("the loader's label were left out",)


def test_a_loader_without_end_is_read_as_far_as_needed(one):
    def endless() -> Iterator[np.ndarray]:
        while True:
            yield np.ones((1000, 3), np.float32)

    found = opened(one, endless())
    assert LOADER_SAMPLES <= len(found.inputs["x"]) < LOADER_SAMPLES + 1000
    assert "samples of the loader were taken" in found.notes[0]


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "gives no samples"),
        ([random(4, 6)], "has 1 entries, the network the inputs left, right"),
        ([{"left": random(4, 6)}], "not the input 'right'"),
    ],
)
def test_batches_that_lack_an_input_are_refused(two, batches, message):
    with pytest.raises(DataError, match=message):
        opened(two, iter(batches))
