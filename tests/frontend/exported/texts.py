"""Text networks of Hugging Face, small."""

from collections.abc import Callable
from typing import Any

from tests.frontend.exported.subject import (
    FEATURES,
    HEADS,
    TOKENS,
    VOCABULARY,
    Given,
    Subject,
    hugging_face,
    lengths_mask,
    words,
)

LAYERS = 2
POSITIONS = 64
USUAL: dict[str, Any] = {
    "hidden_size": FEATURES,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 64,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": POSITIONS,
}


def _bert() -> Any:
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(**USUAL))


def _bert_classifier() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(**{**USUAL, "num_labels": 3}))


def _distilbert() -> Any:
    from transformers import DistilBertConfig, DistilBertModel

    return DistilBertModel(
        DistilBertConfig(
            dim=FEATURES,
            n_layers=LAYERS,
            n_heads=HEADS,
            hidden_dim=64,
            vocab_size=VOCABULARY,
            max_position_embeddings=POSITIONS,
        )
    )


def _roberta() -> Any:
    from transformers import RobertaConfig, RobertaModel

    return RobertaModel(RobertaConfig(**USUAL, pad_token_id=1))


def _albert() -> Any:
    from transformers import AlbertConfig, AlbertModel

    return AlbertModel(AlbertConfig(**USUAL, embedding_size=16))


def _gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            n_embd=FEATURES,
            n_layer=LAYERS,
            n_head=HEADS,
            vocab_size=VOCABULARY,
            n_positions=POSITIONS,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def _llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(**USUAL, num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-5)
    )


def _t5_encoder() -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            d_model=FEATURES,
            d_kv=8,
            d_ff=64,
            num_layers=LAYERS,
            num_heads=HEADS,
            vocab_size=VOCABULARY,
            feed_forward_proj="gated-gelu",
        )
    )


def _clip_text() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(CLIPTextConfig(**USUAL, projection_dim=16, eos_token_id=2))


HIDDEN = ("last_hidden_state",)
POOLED = ("last_hidden_state", "pooler_output")
LOGITS = ("logits",)
# name: maker of the model, names of its outputs, options of forward
MODELS: dict[str, tuple[Callable[[], Any], tuple[str, ...], dict[str, Any]]] = {
    "bert": (_bert, POOLED, {}),
    "bert_classifier": (_bert_classifier, LOGITS, {}),
    "distilbert": (_distilbert, HIDDEN, {}),
    "roberta": (_roberta, POOLED, {}),
    "albert": (_albert, POOLED, {}),
    "gpt2": (_gpt2, LOGITS, {"use_cache": False}),
    "llama": (_llama, LOGITS, {"use_cache": False}),
    "t5_encoder": (_t5_encoder, HIDDEN, {}),
    "clip_text": (_clip_text, ("text_embeds",), {}),
}
# torch's legacy exporter has no `diff`, with which these find packed texts where there is no mask.
NO_LEGACY = {"gpt2", "llama"}


def text(name: str, masked: bool, tokens: int = TOKENS) -> Subject:
    """A model by its name; masked: the attention mask of padded texts is its second input."""
    make, outputs, options = MODELS[name]
    inputs = [Given("input_ids", words(tokens))]
    if masked:
        inputs.append(Given("attention_mask", lengths_mask(tokens)))
    return hugging_face(make, inputs, outputs, **options)


TEXTS = {
    f"{name}_masked" if masked else name: text(name, masked) for name in MODELS for masked in (False, True)
}
