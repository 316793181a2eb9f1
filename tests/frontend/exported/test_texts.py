"""Text networks of Hugging Face load from both exporters, are exact, compress and come back."""

from pathlib import Path

import pytest

from tests.frontend.exported.checks import assert_compresses, assert_exact, assert_placed
from tests.frontend.exported.exporting import DYNAMO, LEGACY, WAYS, Exports, Way
from tests.frontend.exported.matrix import NEEDS_TORCH, NEEDS_TRANSFORMERS, cases
from tests.frontend.exported.texts import MODELS, NO_LEGACY, TEXTS

pytestmark = [NEEDS_TORCH, NEEDS_TRANSFORMERS]

MASKED = [f"{name}_masked" for name in MODELS]
PLAIN = {
    DYNAMO: ["bert_masked", "albert_masked", "gpt2_masked", "llama_masked", "t5_encoder"],
    LEGACY: MASKED,
}
HALVED = {DYNAMO: PLAIN[DYNAMO], LEGACY: ["distilbert_masked", "roberta_masked", "clip_text_masked"]}
EXPORTED = cases(TEXTS, WAYS, PLAIN, NO_LEGACY)
FREE = cases(TEXTS, (DYNAMO, LEGACY), HALVED, NO_LEGACY)


@pytest.mark.parametrize(("name", "way"), EXPORTED)
def test_a_text_network_gives_what_onnxruntime_gives(exports: Exports, name: str, way: Way) -> None:
    assert_exact(exports.teacher(name, TEXTS[name], way), TEXTS[name], way.batch)


@pytest.mark.parametrize(("name", "way"), FREE)
def test_a_text_network_compresses_and_comes_back(
    exports: Exports, tmp_path: Path, name: str, way: Way
) -> None:
    assert_compresses(exports.teacher(name, TEXTS[name], way), TEXTS[name], tmp_path)


@pytest.mark.parametrize(("name", "way"), EXPORTED)
def test_every_tensor_of_a_text_network_has_its_samples_where_they_are_said_to_be(
    exports: Exports, name: str, way: Way
) -> None:
    assert_placed(exports.file(name, TEXTS[name], way), TEXTS[name])
