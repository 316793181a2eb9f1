"""Made-up inputs: smooth images in the range least odd to the network, and how pixels are laid out."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from sim_compress.cli.data.pixels import Layout, Scaling, layout
from sim_compress.cli.data.synthetic import SAMPLES, made_up_inputs
from sim_compress.compression import check_calibration
from sim_compress.frontend import load_teacher
from sim_compress.model import Input
from sim_compress.runtime import id_limits
from sim_compress.states import NetworkTeacher
from tests.frontend.graphs import graph_of, node, random, saved, typed

IMAGES = Input("u", (3, 12, 10))


def used_to(spread: float):
    """A network to which images are odd whose pixels spread by another factor."""

    def oddness(inputs: Mapping[str, np.ndarray]) -> float:
        return abs(float(np.log(inputs["u"].std() / spread)))

    return oddness


def indifferent(_: Mapping[str, np.ndarray]) -> float:
    return 0.0


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 10), (12, 10, 3), (5, 9, 7), (1, 2, 2)])
def test_images_have_the_shape_of_the_input_and_are_finite(shape):
    found = made_up_inputs([Input("u", shape)], 0, None, indifferent)
    u = found.inputs["u"]
    assert u.shape == (SAMPLES, *shape)
    assert u.dtype == np.float32
    assert np.isfinite(u).all()
    assert "smooth random images" in found.title


def test_images_are_smooth():
    u = made_up_inputs([IMAGES], 0, None, used_to(40)).inputs["u"]
    step = np.abs(np.diff(u, axis=-1)).mean()
    spread = np.abs(u - u.mean(axis=(2, 3), keepdims=True)).mean()
    # Neighbours of white noise differ by 1.41 times what pixels differ from their mean.
    assert step < spread


@pytest.mark.parametrize(
    ("spread", "words"),
    [
        (40, "pixels 0..255"),
        (0.16, "pixels as (pixel / 255 - 0) / 1"),
        (0.32, "pixels as (pixel / 255 - 0.5) / 0.5"),
        (0.7, "pixels as (pixel / 255 - 0.45) / 0.225"),
    ],
)
def test_pixels_are_in_the_range_that_is_least_odd_and_that_is_called_a_guess(spread, words):
    found = made_up_inputs([IMAGES], 0, None, used_to(spread))
    assert words in found.title
    assert found.guess == words
    assert found.inputs["u"].std() == pytest.approx(spread, rel=0.2)


def test_mean_and_std_settle_the_range():
    found = made_up_inputs([IMAGES], 0, Scaling((0.5,), (0.5,)), used_to(40))
    assert "(pixel / 255 - 0.5) / 0.5" in found.title
    assert found.guess is None
    assert found.inputs["u"].min() >= -1
    assert found.inputs["u"].max() <= 1


def test_the_seed_decides():
    first, again, another = (made_up_inputs([IMAGES], s, None, indifferent).inputs["u"] for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, another)


def test_inputs_that_are_no_images_get_normal_numbers():
    expected = [Input("u", (50,)), Input("v", (4, 5)), Input("w", (1, 1, 6))]
    found = made_up_inputs(expected, 0, None, indifferent)
    inputs = found.inputs
    assert inputs["u"].shape == (SAMPLES, 50)
    assert inputs["v"].shape == (SAMPLES, 4, 5)
    assert inputs["w"].shape == (SAMPLES, 1, 1, 6)
    # The mean of 25,600 normal numbers has a standard deviation of 0.006.
    assert abs(float(inputs["u"].mean())) < 0.05
    assert (found.title, found.guess) == ("normal random numbers", None)


def test_images_and_other_inputs_may_come_together():
    inputs = made_up_inputs([IMAGES, Input("v", (4,))], 0, None, indifferent).inputs
    assert {name: len(u) for name, u in inputs.items()} == {"u": SAMPLES, "v": SAMPLES}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 28, 20), Layout(1, 28, 20, channels_last=False)),
        ((3, 28, 20), Layout(3, 28, 20, channels_last=False)),
        ((28, 20, 3), Layout(3, 28, 20, channels_last=True)),
        ((28, 20, 1), Layout(1, 28, 20, channels_last=True)),
        ((2, 28, 20), None),
        ((784,), None),
        ((3, 4), None),
    ],
)
def test_the_layout_is_told_by_where_one_or_three_channels_stand(shape, expected):
    assert layout(shape) == expected


def test_scaling_acts_on_each_channel():
    white = np.full((1, 2, 2, 3), 255, np.uint8)
    scaled = Scaling((0.5, 0.0, 1.0), (0.5, 2.0, 1.0)).apply(white)
    assert scaled.dtype == np.float32
    assert np.array_equal(scaled[0, 0, 0], [1.0, 0.5, 0.0])


def test_ids_have_rows_in_the_table_that_each_of_them_is_looked_up_in(tmp_path: Path):
    """Letters and syllables in one input, and ids that come as floats."""
    nodes = [
        node("Slice", ["ids", "zero", "one", "one"], ["letters"]),
        node("Slice", ["ids", "one", "two", "one"], ["syllables"]),
        node("Cast", ["more"], ["words"], to=TensorProto.INT64),
        *[node("Gather", [f"{n}_table", n], [f"{n}_rows"]) for n in ("letters", "syllables", "words")],
        node("Concat", ["letters_rows", "syllables_rows", "words_rows"], ["all"], axis=1),
        node("MatMul", ["all", "w"], ["y"]),
    ]
    rows = {"letters": 3, "syllables": 50, "words": 7}
    constants = {f"{n}_table": random(size, 2) for n, size in rows.items()} | {"w": random(2, 2)}
    constants |= {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
    model = graph_of(nodes, {"ids": (2, 4), "more": (1, 4)}, constants, ["y"])
    teacher = load_teacher(saved(tmp_path, typed(model, {"ids": TensorProto.INT32})))
    limits = id_limits(teacher.model)
    made = made_up_inputs(teacher.model.inputs, 0, None, indifferent, limits)
    found = check_calibration(NetworkTeacher(teacher), made.inputs).arrays
    assert made.title == "random whole numbers"
    largest = [found["ids"][:, 0].max(), found["ids"][:, 1].max(), found["more"].max()]
    assert largest == [size - 1 for size in rows.values()]
