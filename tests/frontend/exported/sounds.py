"""Speech networks of Hugging Face, small."""

from typing import Any

from tests.frontend.exported.subject import FEATURES, HEADS, Given, hugging_face, normal

HIDDEN = ["last_hidden_state"]
MEL_BINS, FRAMES = 16, 40
WAVE = 400


def _whisper_encoder() -> Any:
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return WhisperEncoder(
        WhisperConfig(
            d_model=FEATURES,
            encoder_layers=2,
            encoder_attention_heads=HEADS,
            encoder_ffn_dim=64,
            num_mel_bins=MEL_BINS,
            # A stride of two halves the frames.
            max_source_positions=FRAMES // 2,
        )
    )


def _wav2vec2() -> Any:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    return Wav2Vec2Model(
        Wav2Vec2Config(
            hidden_size=FEATURES,
            num_hidden_layers=2,
            num_attention_heads=HEADS,
            intermediate_size=64,
            conv_dim=[16, 16, 16],
            conv_kernel=[10, 3, 3],
            conv_stride=[5, 2, 2],
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
            mask_time_prob=0.0,
            apply_spec_augment=False,
        )
    )


SOUNDS = {
    "whisper_encoder": hugging_face(
        _whisper_encoder, [Given("input_features", normal(MEL_BINS, FRAMES))], HIDDEN
    ),
    "wav2vec2": hugging_face(_wav2vec2, [Given("input_values", normal(WAVE))], HIDDEN),
}
