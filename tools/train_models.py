# pyright: reportMissingImports=false
"""Train the networks that ship in models/ on Fashion-MNIST and write their data sets and README.

usage: python tools/train_models.py [--data DIR] [--epochs N] [NAME ...]

Needs the torch extra and the four idx files of Fashion-MNIST (Debian package dataset-fashion-mnist).
Without NAME both networks are trained. The README table is rebuilt from what lies in models/.
"""

import argparse
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from fashion_mnist import DEBIAN, load_split
from torch import Tensor, nn

from sim_compress import load

MODELS = Path(__file__).parents[1] / "models"
CALIBRATION_SAMPLES = 512
EVALUATION_SAMPLES = 4000
SEED = 0


class Residual(nn.Module):
    """Basic block of He et al. 2016: two 3x3 convolutions and a projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        z = self.norm2(self.conv2(nn.functional.relu(self.norm1(self.conv1(x)))))
        return nn.functional.relu(z + self.shortcut(x))


class ResNet20(nn.Module):
    """ResNet-20 (He et al. 2016, section 4.2) on one-channel pixels in 0..255."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.stages = nn.Sequential(
            *(Residual(i, o, 1 if i == o else 2) for i, o in itertools.pairwise(widths))
        )
        self.classifier = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stages(self.stem(images / 255))
        return self.classifier(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class FashionMLP(nn.Module):
    """The 784-64-32-16-10 ReLU network of the SIM paper, on pixels in 0..255."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(784, 64),
            nn.ReLU(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 16),
            nn.ReLU(),
            nn.Linear(16, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers((images / 255).flatten(1))


@dataclass(frozen=True)
class Recipe:
    """How one network is trained: one-cycle SGD with Nesterov momentum."""

    build: Callable[[], nn.Module]
    epochs: int
    peak_rate: float
    weight_decay: float
    shift: int
    flip: bool
    title: str


RECIPES = {
    "resnet20": Recipe(ResNet20, 30, 0.2, 5e-4, 2, True, "ResNet-20, batch norm, 28x28"),
    "fashion_mlp": Recipe(FashionMLP, 40, 0.05, 1e-4, 0, False, "784-64-32-16-10 ReLU network"),
}


def load_fashion(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 28, 28) and labels (n,) of one split, as bytes."""
    images, labels = load_split(folder, split)
    return torch.tensor(images), torch.tensor(labels)


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Random flips and shifts, one draw a sample."""
    n, _, height, width = images.shape
    if recipe.flip:
        mirrored = torch.rand(n, generator=generator) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if recipe.shift:
        s = recipe.shift
        padded = nn.functional.pad(images, (s, s, s, s))
        rows, columns = torch.randint(0, 2 * s + 1, (2, n, 1), generator=generator)
        rows, columns = rows + torch.arange(height), columns + torch.arange(width)
        sample = torch.arange(n)[:, None, None]
        images = padded[sample, 0, rows[:, :, None], columns[:, None, :]][:, None]
    return images


def train(recipe: Recipe, images: Tensor, labels: Tensor, epochs: int) -> nn.Module:
    """One-cycle SGD in bfloat16 autocast (float32 weights)."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    module = recipe.build()
    module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    batch = 256
    steps = len(images) // batch
    optimizer = torch.optim.SGD(
        module.parameters(), recipe.peak_rate, 0.9, weight_decay=recipe.weight_decay, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.peak_rate, epochs * steps, pct_start=0.2)
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        total = 0.0
        for step in range(steps):
            pick = order[step * batch : (step + 1) * batch]
            inputs = augment(images[pick], recipe, generator).float()
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                logits = module(inputs)
            loss = nn.functional.cross_entropy(logits.float(), labels[pick].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}", flush=True)
    module.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    return module.eval()


def export(module: nn.Module, example: Tensor, path: Path) -> None:
    """Write one ONNX file with input `images`, output `logits` and a free batch axis."""
    program = torch.onnx.export(
        module,
        (example[:2].float(),),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: torch.export.Dim("N")}},
        dynamo=True,
    )
    assert program is not None
    model = program.model_proto
    # Stack traces of the exporter: the maker's paths, and bytes that are none of the network's.
    for entry in (model, model.graph, *model.graph.node, *model.graph.value_info):
        entry.ClearField("metadata_props")
    onnx.save(model, path)


def accuracy(path: Path, images: Tensor, labels: Tensor) -> float:
    """Top-1 accuracy of an ONNX file or an artifact on flat pixels, in percent."""
    if path.suffix == ".safetensors":
        scores = load(path)(images.flatten(1).numpy())
        return 100 * float(np.mean(scores.argmax(1) == labels.numpy()))
    session = ort.InferenceSession(path)
    batches = images.float().numpy()
    predicted = [
        np.asarray(session.run(None, {"images": batches[i : i + 500]})[0]).argmax(1)
        for i in range(0, len(batches), 500)
    ]
    return 100 * float(np.mean(np.concatenate(predicted) == labels.numpy()))


def write_data(folder: Path) -> tuple[Tensor, Tensor]:
    """Write the calibration and evaluation sets; return the whole test split."""
    images, _ = load_fashion(folder, "train")
    pick = np.random.default_rng(SEED).choice(len(images), CALIBRATION_SAMPLES, replace=False)
    for name in RECIPES:
        np.savez_compressed(MODELS / f"{name}.calibration.npz", images=images.numpy()[pick])
    test, labels = load_fashion(folder, "t10k")
    np.savez_compressed(
        MODELS / "fashion_mnist.evaluation.npz",
        images=test.numpy()[:EVALUATION_SAMPLES],
        labels=labels.numpy()[:EVALUATION_SAMPLES],
    )
    return test, labels


def write_readme(test: Tensor, labels: Tensor) -> None:
    """Describe every file of models/ with its hash and, for networks, its accuracy."""
    lines = [
        "# Networks and data",
        "",
        "Made by `python tools/train_models.py` (extra `torch`, Debian package `dataset-fashion-mnist`):",
        "one-cycle SGD on the 60,000 training images of Fashion-MNIST. Inputs are pixels in 0..255. The",
        "implicit model, a dense loop, is made by `python tools/train_implicit.py`.",
        "Networks: Apache-2.0, as the project. Images and labels: Fashion-MNIST, MIT, (c) 2017 Zalando SE.",
        "",
        "| file | what | accuracy on the 10,000 test images | sha256 |",
        "|---|---|---|---|",
    ]
    what = {
        f"{name}.calibration.npz": f"{CALIBRATION_SAMPLES} unlabelled training images" for name in RECIPES
    }
    what |= {f"{name}.onnx": recipe.title for name, recipe in RECIPES.items()}
    what["fashion_mnist.evaluation.npz"] = f"first {EVALUATION_SAMPLES} test images with labels"
    what["fashion_implicit.sim.safetensors"] = "64 states with a loop, inf-norm of A at most 0.9, flat pixels"
    for path in sorted(MODELS.iterdir()):
        if path.name in what:
            score = f"{accuracy(path, test, labels):.2f} %" if path.suffix != ".npz" else ""
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"| `{path.name}` | {what[path.name]} | {score} | `{digest}` |")
    (MODELS / "README.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []], metavar="NAME")
    parser.add_argument("--data", type=Path, default=DEBIAN, help="folder of the four idx files")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's own number")
    args = parser.parse_args()
    images, labels = load_fashion(args.data, "train")
    test, test_labels = write_data(args.data)
    for name in args.names or RECIPES:
        recipe = RECIPES[name]
        module = train(recipe, images, labels, args.epochs or recipe.epochs)
        export(module, images, MODELS / f"{name}.onnx")
        print(f"{name}: {accuracy(MODELS / f'{name}.onnx', test, test_labels):.2f} %", flush=True)
    write_readme(test, test_labels)


if __name__ == "__main__":
    main()
