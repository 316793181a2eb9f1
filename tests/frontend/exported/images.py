"""Vision networks of Hugging Face, small; and both towers of CLIP in one file."""

from collections.abc import Callable
from typing import Any

from tests.frontend.exported.subject import (
    FEATURES,
    HEADS,
    VOCABULARY,
    Given,
    Subject,
    hugging_face,
    lengths_mask,
    normal,
    words,
)

SIZE = 32
USUAL: dict[str, Any] = {
    "hidden_size": FEATURES,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": 64,
}
LABELS: dict[str, Any] = {"num_labels": 5}
PATCHES: dict[str, Any] = {"image_size": SIZE, "patch_size": 8}
STAGES: dict[str, Any] = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}


def _vit() -> Any:
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(**USUAL, **PATCHES, **LABELS))


def _deit() -> Any:
    from transformers import DeiTConfig, DeiTModel

    return DeiTModel(DeiTConfig(**USUAL, **PATCHES))


def _swin() -> Any:
    from transformers import SwinConfig, SwinForImageClassification

    # Of two blocks the second one's windows are shifted; the last stage is one window.
    return SwinForImageClassification(
        SwinConfig(
            image_size=SIZE,
            patch_size=4,
            embed_dim=16,
            depths=[2, 1],
            num_heads=[2, 4],
            window_size=4,
            **LABELS,
        )
    )


def _segformer() -> Any:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    return SegformerForSemanticSegmentation(
        SegformerConfig(**STAGES, num_attention_heads=[1, 2, 3, 4], decoder_hidden_size=16, **LABELS)
    )


def _clip_vision() -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(CLIPVisionConfig(**USUAL, **PATCHES, projection_dim=16))


def _mobilenet_v2() -> Any:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    return MobileNetV2ForImageClassification(
        MobileNetV2Config(
            image_size=SIZE, depth_multiplier=0.1, min_depth=4, finegrained_output=True, **LABELS
        )
    )


def _resnet() -> Any:
    from transformers import ResNetConfig, ResNetForImageClassification

    return ResNetForImageClassification(ResNetConfig(embedding_size=8, **STAGES, **LABELS))


def _convnext() -> Any:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    return ConvNextForImageClassification(ConvNextConfig(**STAGES, **LABELS))


def _clip() -> Any:
    from transformers import CLIPConfig, CLIPModel

    language = {**USUAL, "vocab_size": VOCABULARY, "max_position_embeddings": 64, "eos_token_id": 2}
    return CLIPModel(CLIPConfig(text_config=language, vision_config={**USUAL, **PATCHES}, projection_dim=16))


# name: maker of the model, name of its output, width of its images
MODELS: dict[str, tuple[Callable[[], Any], str, int]] = {
    "vit": (_vit, "logits", SIZE),
    "deit": (_deit, "last_hidden_state", SIZE),
    "swin": (_swin, "logits", SIZE),
    "segformer": (_segformer, "logits", SIZE),
    "clip_vision": (_clip_vision, "image_embeds", SIZE),
    "mobilenet_v2": (_mobilenet_v2, "logits", SIZE),
    "resnet": (_resnet, "logits", 2 * SIZE),
    "convnext": (_convnext, "logits", 2 * SIZE),
}


def _image(name: str) -> Subject:
    make, output, width = MODELS[name]
    return hugging_face(make, [Given("pixel_values", normal(3, width, width))], [output])


def _towers() -> Subject:
    """Embeddings of texts and of images; their products would mix the samples of a batch."""
    inputs = [
        Given("input_ids", words()),
        Given("attention_mask", lengths_mask()),
        Given("pixel_values", normal(3, SIZE, SIZE)),
    ]
    return hugging_face(_clip, inputs, ["text_embeds", "image_embeds"])


IMAGES = {**{name: _image(name) for name in MODELS}, "clip": _towers()}
