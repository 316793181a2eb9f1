"""Speech networks of Hugging Face load from both exporters, are exact, compress and come back."""

from pathlib import Path

import pytest

from tests.frontend.exported.checks import assert_compresses, assert_exact, assert_placed
from tests.frontend.exported.exporting import DYNAMO, LEGACY, WAYS, Exports, Way
from tests.frontend.exported.matrix import NEEDS_TORCH, NEEDS_TRANSFORMERS, cases
from tests.frontend.exported.sounds import SOUNDS

pytestmark = [NEEDS_TORCH, NEEDS_TRANSFORMERS]

PLAIN = {DYNAMO: ["wav2vec2"], LEGACY: SOUNDS}
HALVED = {DYNAMO: ["wav2vec2"], LEGACY: ["whisper_encoder"]}


@pytest.mark.parametrize(("name", "way"), cases(SOUNDS, WAYS, PLAIN))
def test_a_speech_network_gives_what_onnxruntime_gives(exports: Exports, name: str, way: Way) -> None:
    assert_exact(exports.teacher(name, SOUNDS[name], way), SOUNDS[name], way.batch)


@pytest.mark.parametrize(("name", "way"), cases(SOUNDS, (DYNAMO, LEGACY), HALVED))
def test_a_speech_network_compresses_and_comes_back(
    exports: Exports, tmp_path: Path, name: str, way: Way
) -> None:
    assert_compresses(exports.teacher(name, SOUNDS[name], way), SOUNDS[name], tmp_path)


@pytest.mark.parametrize(("name", "way"), cases(SOUNDS, WAYS, PLAIN))
def test_every_tensor_of_a_speech_network_has_its_samples_where_they_are_said_to_be(
    exports: Exports, name: str, way: Way
) -> None:
    assert_placed(exports.file(name, SOUNDS[name], way), SOUNDS[name])
