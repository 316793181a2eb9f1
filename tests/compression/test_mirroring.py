"""Mirror images of calibration images: taken where the network answers them alike, else left."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim_compress import Settings, open_teacher
from sim_compress.compression.calibration.mirroring import ENOUGH, may_mirror, mirrored
from sim_compress.compression.prepared import prepared
from sim_compress.model import Affine, Input, Output, StateBlock

MODELS = Path(__file__).parents[2] / "models"
SAMPLES = 64


def images(name: str, samples: int = SAMPLES) -> np.ndarray:
    return np.load(MODELS / f"{name}.calibration.npz")["images"][:samples].astype(np.float32)


@pytest.fixture(scope="module")
def convolutional():
    """Trained with mirror images."""
    return open_teacher(MODELS / "resnet20.onnx")


@pytest.fixture(scope="module")
def dense():
    """Trained without: a mirrored shoe is no shoe to it."""
    return open_teacher(MODELS / "fashion_mlp.onnx")


def test_mirror_images_follow_where_they_get_the_same_class(convolutional):
    u = images("resnet20")
    found = mirrored(convolutional, {"images": u})["images"]
    np.testing.assert_array_equal(found[:SAMPLES], u)
    np.testing.assert_array_equal(found[SAMPLES:], u[:, :, :, ::-1])


def test_images_stay_alone_where_their_mirror_images_are_other_things(dense):
    inputs = {"images": images("fashion_mlp")}
    assert mirrored(dense, inputs) is inputs


@pytest.mark.parametrize("samples", [ENOUGH, ENOUGH + 1])
def test_many_images_stay_alone(convolutional, samples):
    inputs = {"images": np.zeros((samples, 1, 28, 28), np.uint8)}
    assert may_mirror(convolutional.model, inputs, Settings(0.5)) == (samples == ENOUGH)


def test_bytes_are_tried_as_the_network_takes_them(convolutional):
    u = np.load(MODELS / "resnet20.calibration.npz")["images"][:SAMPLES]
    assert u.dtype == np.uint8
    assert len(mirrored(convolutional, {"images": u})["images"]) == 2 * SAMPLES


@dataclass(frozen=True)
class Shapes:
    """What `mirrored` sees of a model."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    blocks: tuple[StateBlock, ...] = ()


@dataclass(frozen=True)
class Constant:
    """A teacher that gives every input the same class."""

    model: Shapes

    def outputs(self, batch):
        samples = next(iter(batch.values())).shape[-1]
        return {o.name: np.ones((*o.shape, samples)) for o in self.model.outputs}


def constant(*inputs: Input) -> Any:
    rows = Output("scores", Affine((10,), (), np.zeros(10, np.float32)))
    return Constant(Shapes(inputs, (rows,)))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((3, 16, 20), 3), ((1, 28, 28), 3), ((16, 20, 3), 2), ((20, 16, 1), 2), ((12, 16, 20), 3)],
    ids=["channels first", "grey", "channels last", "grey last", "many channels"],
)
def test_the_width_of_an_image_is_found_from_its_shape(shape, axis):
    u = np.random.default_rng(0).random((5, *shape), np.float32)
    found = mirrored(constant(Input("u", shape)), {"u": u})["u"]
    np.testing.assert_array_equal(found[5:], np.flip(u, axis))


def alone(*inputs: Input) -> bool:
    values = {i.name: np.zeros((5, *i.shape), i.dtype) for i in inputs}
    return not may_mirror(constant(*inputs).model, values, Settings(0.5))


@pytest.mark.parametrize("shape", [(64,), (16, 16), (3, 4, 4), (16, 4, 16), (2, 3, 16, 16)])
def test_what_is_no_image_stays_alone(shape):
    assert alone(Input("u", shape))


def test_several_inputs_stay_alone():
    assert alone(Input("u", (1, 16, 16)), Input("v", (1, 16, 16)))


def test_whole_numbers_are_no_pixels_that_mirror():
    assert alone(Input("u", (1, 16, 16), "int64"))


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (Settings(0.5), 2 * SAMPLES),
        (Settings(0.5, augment="none"), SAMPLES),
        (Settings(0.5, matching="exact"), SAMPLES),
    ],
    ids=["as it is", "asked not to", "exact"],
)
def test_the_settings_say_whether_designs_have_mirror_images(convolutional, settings, count):
    ready = prepared(convolutional, images("resnet20"), settings)
    assert [len(u) for u in ready.designs.values()] == [count]
    assert [len(u) for u in ready.calibration.arrays.values()] == [SAMPLES]
