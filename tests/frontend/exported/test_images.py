"""Vision networks of Hugging Face load from both exporters, are exact, compress and come back."""

from pathlib import Path

import pytest

from tests.frontend.exported.checks import assert_compresses, assert_exact, assert_placed
from tests.frontend.exported.exporting import DYNAMO, LEGACY, WAYS, Exports, Way
from tests.frontend.exported.images import IMAGES
from tests.frontend.exported.matrix import NEEDS_TORCH, NEEDS_TRANSFORMERS, cases

pytestmark = [NEEDS_TORCH, NEEDS_TRANSFORMERS]

PLAIN = {DYNAMO: ["vit", "swin", "clip"], LEGACY: IMAGES}
HALVED = {DYNAMO: PLAIN[DYNAMO], LEGACY: ["resnet", "convnext"]}


@pytest.mark.parametrize(("name", "way"), cases(IMAGES, WAYS, PLAIN))
def test_a_vision_network_gives_what_onnxruntime_gives(exports: Exports, name: str, way: Way) -> None:
    assert_exact(exports.teacher(name, IMAGES[name], way), IMAGES[name], way.batch)


@pytest.mark.parametrize(("name", "way"), cases(IMAGES, (DYNAMO, LEGACY), HALVED))
def test_a_vision_network_compresses_and_comes_back(
    exports: Exports, tmp_path: Path, name: str, way: Way
) -> None:
    assert_compresses(exports.teacher(name, IMAGES[name], way), IMAGES[name], tmp_path)


@pytest.mark.parametrize(("name", "way"), cases(IMAGES, WAYS, PLAIN))
def test_every_tensor_of_a_vision_network_has_its_samples_where_they_are_said_to_be(
    exports: Exports, name: str, way: Way
) -> None:
    assert_placed(exports.file(name, IMAGES[name], way), IMAGES[name])
