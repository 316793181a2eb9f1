"""What half of tied embeddings loses, by what their lookup counts against their scores: tied_embeddings.py

A GPT-2 and a Llama of two layers with random weights, whose 4000 tokens hold most parameters. Errors are
those of other texts than the calibration's, relative to the variance of the outputs. "apart" has a dense
table of its own for the lookup: as many rows as sparse, but more numbers in all. Needs sim-compress[hf].
"""

import argparse
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from sim_compress import Settings, compress, open_teacher
from sim_compress.compression.rows import embeddings
from sim_compress.runtime import Session
from sim_compress.states import with_tables_apart

VOCABULARY, WIDTH, TOKENS = 4000, 64, 12
CALIBRATION, OTHERS = 128, 64
LOOKUPS = (None, 0.0, 0.1, 0.3, 1.0, 3.0, 10.0)


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes: dict[str, Any] = {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 64}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=0, **sizes))


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes: dict[str, Any] = {"hidden_size": WIDTH, "num_hidden_layers": 2, "intermediate_size": 2 * WIDTH}
    heads: dict[str, Any] = {
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
    }
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, tie_word_embeddings=True, **sizes, **heads))


def exported(path: Path, network: Any) -> Path:
    """The network of ids and logits as a file."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, ids: Any) -> Any:
            return self.network(ids, use_cache=False).logits

    ids = torch.zeros(2, TOKENS, dtype=torch.long)
    free = ({0: "batch"},)
    torch.onnx.export(Logits().eval(), (ids,), path, dynamo=True, verbose=False, dynamic_shapes=free)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target-sparsity", type=float, nargs="+", default=[50.0, 70.0])
    parser.add_argument("--tune", type=int, default=0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import torch

    rng = np.random.default_rng(0)
    texts, others = (rng.integers(0, VOCABULARY, (n, TOKENS)) for n in (CALIBRATION, OTHERS))
    for make in (gpt2, llama):
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            teacher = open_teacher(exported(Path(folder) / "network.onnx", make()))
        wanted = next(iter(Session(teacher.model).predict(others).values()))
        for percent in asked.target_sparsity:
            for lookup in LOOKUPS:
                embeddings.LOOKUP = lookup or 0.0
                network = with_tables_apart(teacher) if lookup is None else teacher
                result = compress(network, texts, Settings(percent / 100, tune=asked.tune))
                found = next(iter(Session(result.model).predict(others).values()))
                error = float(np.mean((found - wanted) ** 2) / np.var(wanted))
                kept = result.model.parameters / teacher.model.parameters
                name = "apart" if lookup is None else f"{lookup:g}"
                (own,) = result.errors.values()
                print(f"{make.__name__} {percent:g} % lookup {name}: {error:.4f}, {own:.4f} on its own texts")
                print(f"    {kept:.3f} of the numbers", flush=True)


if __name__ == "__main__":
    main()
