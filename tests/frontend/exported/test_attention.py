"""torch's attention loads from both exporters, batch or time first, with every kind of mask."""

from pathlib import Path

import pytest

from tests.frontend.exported.attention import ATTENTIONS, NO_LEGACY
from tests.frontend.exported.checks import assert_compresses, assert_exact, assert_placed
from tests.frontend.exported.exporting import DYNAMO, LEGACY, WAYS, Exports, Way
from tests.frontend.exported.matrix import NEEDS_TORCH, cases

pytestmark = NEEDS_TORCH

PLAIN = {
    DYNAMO: [
        "mha_bf_padded",
        "mha_tf_plain",
        "encoder_pre_bf_causal",
        "encoder_post_tf_padded_bool",
        "grouped_causal",
    ],
    LEGACY: ATTENTIONS,
}
HALVED = {DYNAMO: PLAIN[DYNAMO], LEGACY: ["mha_bf_weights", "scaled_inf"]}
EXPORTED = cases(ATTENTIONS, WAYS, PLAIN, NO_LEGACY)
FREE = cases(ATTENTIONS, (DYNAMO, LEGACY), HALVED, NO_LEGACY)


@pytest.mark.parametrize(("name", "way"), EXPORTED)
def test_attention_gives_what_onnxruntime_gives(exports: Exports, name: str, way: Way) -> None:
    assert_exact(exports.teacher(name, ATTENTIONS[name], way), ATTENTIONS[name], way.batch)


@pytest.mark.parametrize(("name", "way"), FREE)
def test_attention_compresses_and_comes_back(exports: Exports, tmp_path: Path, name: str, way: Way) -> None:
    assert_compresses(exports.teacher(name, ATTENTIONS[name], way), ATTENTIONS[name], tmp_path)


@pytest.mark.parametrize(("name", "way"), EXPORTED)
def test_every_tensor_of_attention_has_its_samples_where_they_are_said_to_be(
    exports: Exports, name: str, way: Way
) -> None:
    assert_placed(exports.file(name, ATTENTIONS[name], way), ATTENTIONS[name])
