"""Models of transformers as they are: batches of their loaders, masks included; what the results take."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sim_compress import Settings, compress
from sim_compress.compression.calibration import opened
from sim_compress.runtime import Session
from tests.frontend.graphs import assert_close

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnxscript", reason="torch's exporter is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

import torch
import transformers

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
}
ENDS = {"bos_token_id": 0, "eos_token_id": 0}
UNCACHED = "the network was read with config.use_cache off: cached keys and values are no outputs"
LABELS = "the data's labels were left out"


def bert() -> Any:
    return transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES))


def gpt2() -> Any:
    config = transformers.GPT2Config(
        vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=16, tie_word_embeddings=True, **ENDS
    )
    return transformers.GPT2LMHeadModel(config)


def llama() -> Any:
    config = transformers.LlamaConfig(**SIZES, num_key_value_heads=1, tie_word_embeddings=True, **ENDS)
    return transformers.LlamaForCausalLM(config)


IDS = torch.from_numpy(np.random.default_rng(0).integers(3, 50, (40, 9)))
MASK = (torch.arange(9) < torch.arange(40)[:, None] % 6 + 4).long()


def batches() -> list[Any]:
    parts = zip(IDS.split(8), MASK.split(8), strict=True)
    # As a tokenizer's output or a data collator's: a dict of their own, with labels.
    return [
        transformers.BatchEncoding({"labels": i[:, 0] % 2, "input_ids": i, "attention_mask": m})
        for i, m in parts
    ]


@pytest.mark.parametrize(("make", "notes"), [(bert, ()), (gpt2, (UNCACHED,)), (llama, (UNCACHED,))])
def test_a_model_is_exact_with_its_masks(make: Callable[[], Any], notes: tuple[str, ...]):
    torch.manual_seed(0)
    model = make()
    teacher, arrays, said = opened(model, batches())
    assert said == (*notes, LABELS)
    assert [i.name for i in teacher.model.inputs] == ["input_ids", "attention_mask"]
    assert [o.name for o in teacher.model.outputs] == ["logits"]
    assert model.training
    assert model.config.use_cache
    with torch.no_grad():
        expected = model.eval()(input_ids=IDS, attention_mask=MASK).logits
    assert_close(Session(teacher.model).predict(arrays)["logits"], expected.numpy())


def test_the_result_takes_a_batch_as_the_model_does():
    torch.manual_seed(0)
    result = compress(bert(), batches(), Settings(0.5, tune=0))
    assert result.sparsity == pytest.approx(0.5, abs=0.002)
    module = result.to_torch()
    expected = Session(result.model)({"input_ids": IDS.numpy(), "attention_mask": MASK.numpy()})
    for found in (
        module(input_ids=IDS, attention_mask=MASK),
        module(IDS, MASK),
        module(IDS.numpy(), MASK.bool()),
    ):
        assert_close(found.detach().numpy(), expected)
    assert module(IDS[:0], MASK[:0]).shape == (0, 2)
