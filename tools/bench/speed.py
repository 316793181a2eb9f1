"""What a compression costs: wall and processor time, peak memory, what is left of the outputs.

    python tools/bench/speed.py
    python tools/bench/speed.py resnet20-40 resnet20-80 encoder --avx2 --json speed.json

One row a network, in a process of its own. What is measured ends where the artifact is written; processor
time counts from the start of the process, with compiled code where none is kept yet. Networks that do not
ship are built with torch, of the shapes of those that the row is named after, with random weights and inputs.
The error is the squared error of the outputs over their variance on inputs that were not calibrated with.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).parents[2] / "models"
AVX2 = {
    "NUMBA_CPU_NAME": "x86-64",
    "NUMBA_CPU_FEATURES": "+sse,+sse2,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma",
    "OPENBLAS_CORETYPE": "Haswell",
}
HELD_OUT = 32

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        network: makes the network's file and its inputs, calibration and held out, in a folder.
        sparsity, tune: what is asked.
    """

    network: Callable[[Path], None]
    sparsity: float
    tune: int | None = None


@dataclass(frozen=True)
class Cost:
    """What one row measured.

    Attributes:
        network: name of the row.
        wall, processor: seconds.
        peak: GiB.
        stages: seconds of wall time after which each stage was over.
        sparsity: of the rows.
        error: squared error of the outputs over their variance.
        accuracy: percent, where there are labels.
        gap: largest of a convex row.
        epochs: of tuning.
    """

    network: str
    wall: float
    processor: float
    peak: float
    stages: Mapping[str, float]
    sparsity: float
    error: float
    accuracy: float | None
    gap: float
    epochs: int


def shipped(name: str, calibration: str) -> Callable[[Path], None]:
    """A network of models/ with its 512 images and 4,000 labelled ones."""

    def make(folder: Path) -> None:
        (folder / "network.onnx").symlink_to(MODELS / f"{name}.onnx")
        (folder / "calibration.npz").symlink_to(MODELS / f"{calibration}.calibration.npz")
        (folder / "held_out.npz").symlink_to(MODELS / "fashion_mnist.evaluation.npz")

    return make


def random_network(module: Callable[[], Any], shape: tuple[int, ...], samples: int) -> Callable[[Path], None]:
    """A torch module with random weights, exported for inputs of a shape."""

    def make(folder: Path) -> None:
        import torch

        torch.manual_seed(0)
        network = module()
        assert isinstance(network, torch.nn.Module)
        inputs = torch.randn(samples + HELD_OUT, *shape)
        path = folder / "network.onnx"
        torch.onnx.export(
            network.eval(),
            (inputs[:2],),
            path,
            input_names=["x"],
            dynamic_axes={"x": {0: "samples"}},
            dynamo=False,
        )
        np.savez(folder / "calibration.npz", x=inputs[:samples].numpy())
        np.savez(folder / "held_out.npz", x=inputs[samples:].numpy())

    return make


def encoder(width: int, layers: int) -> Callable[[], Any]:
    """Layers of BERT with their layer norms behind each half: query, key, value, output, two wide ones."""

    def make() -> Any:
        import torch
        from torch import nn

        heads = width // 32 if width < 512 else width // 64

        class Layer(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.query, self.key, self.value, self.joined = (nn.Linear(width, width) for _ in range(4))
                self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
                self.attended, self.normed = nn.LayerNorm(width), nn.LayerNorm(width)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                def split(y: torch.Tensor) -> torch.Tensor:
                    return y.unflatten(2, (heads, -1)).transpose(1, 2)

                q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
                scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
                mixed = (torch.softmax(scores, 3) @ v).transpose(1, 2).flatten(2)
                x = self.attended(x + self.joined(mixed))
                return self.normed(x + self.narrow(nn.functional.gelu(self.wide(x))))

        class Encoder(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layers = nn.Sequential(*(Layer() for _ in range(layers)))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.layers(x).mean(1)

        return Encoder()

    return make


def convolutions(stem: int, blocks: Sequence[Sequence[int]], classes: int) -> Callable[[], Any]:
    """Depthwise-separable convolutions as in MobileNet: (channels, stride, kernel) of each."""

    def make() -> Any:
        from torch import nn

        def normed(before: int, after: int, kernel: int, stride: int, groups: int = 1) -> list[nn.Module]:
            convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
            return [convolution, nn.BatchNorm2d(after), nn.Hardswish()]

        parts = normed(3, stem, 3, 2)
        width = stem
        for channels, stride, kernel in blocks:
            parts += normed(width, width, kernel, stride, width) + normed(width, channels, 1, 1)
            width = channels
        network = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
        return lively(network)

    return make


def lively(network: Any) -> Any:
    """The network with weights that keep the variance of its states, so that no state vanishes."""
    from torch import nn

    assert isinstance(network, nn.Module)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
    return network


def yolo() -> Any:
    """Backbone, pyramid and heads of YOLOv8n for 18 classes."""
    import torch
    from torch import nn

    def conv(before: int, after: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
        convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.SiLU())

    def head(before: int, inner: int, after: int) -> nn.Sequential:
        return nn.Sequential(conv(before, inner, 3), conv(inner, inner, 3), nn.Conv2d(inner, after, 1))

    class Split(nn.Module):
        """C2f: half of the channels through bottlenecks, all of their outputs joined."""

        def __init__(self, before: int, after: int, count: int, shortcut: bool) -> None:
            super().__init__()
            width, self.shortcut = after // 2, shortcut
            self.first, self.last = conv(before, after), conv((2 + count) * width, after)
            self.inner = nn.ModuleList(
                nn.Sequential(conv(width, width, 3), conv(width, width, 3)) for _ in range(count)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts = list(self.first(x).chunk(2, 1))
            for inner in self.inner:
                fresh = inner(parts[-1])
                parts.append(parts[-1] + fresh if self.shortcut else fresh)
            return self.last(torch.cat(parts, 1))

    class Pyramid(nn.Module):
        """SPPF."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.first, self.last = conv(width, width // 2), conv(2 * width, width)
            self.pool = nn.MaxPool2d(5, 1, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts = [self.first(x)]
            for _ in range(3):
                parts.append(self.pool(parts[-1]))
            return self.last(torch.cat(parts, 1))

    class Yolo(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.to8 = nn.Sequential(
                conv(3, 16, 3, 2),
                conv(16, 32, 3, 2),
                Split(32, 32, 1, True),
                conv(32, 64, 3, 2),
                Split(64, 64, 2, True),
            )
            self.to16 = nn.Sequential(conv(64, 128, 3, 2), Split(128, 128, 2, True))
            self.to32 = nn.Sequential(conv(128, 256, 3, 2), Split(256, 256, 1, True), Pyramid(256))
            self.up16, self.up8 = Split(384, 128, 1, False), Split(192, 64, 1, False)
            self.down8, self.down16 = conv(64, 64, 3, 2), conv(128, 128, 3, 2)
            self.mid, self.deep = Split(192, 128, 1, False), Split(384, 256, 1, False)
            self.boxes = nn.ModuleList(head(width, 64, 64) for width in (64, 128, 256))
            self.classes = nn.ModuleList(head(width, 64, 18) for width in (64, 128, 256))
            self.upper = nn.Upsample(scale_factor=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            a = self.to8(x)
            b = self.to16(a)
            c = self.to32(b)
            b = self.up16(torch.cat([self.upper(c), b], 1))
            a = self.up8(torch.cat([self.upper(b), a], 1))
            b = self.mid(torch.cat([self.down8(a), b], 1))
            c = self.deep(torch.cat([self.down16(b), c], 1))
            scales = zip(self.boxes, self.classes, (a, b, c), strict=True)
            return torch.cat([torch.cat([box(y), kind(y)], 1).flatten(2) for box, kind, y in scales], 2)

    return lively(Yolo())


def resnet50() -> object:
    """Bottlenecks of 64, 128, 256 and 512 channels, 3, 4, 6 and 3 of them; the last of each starts small."""
    import torch
    from torch import nn

    def conv(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        return [
            nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(after),
        ]

    class Bottleneck(nn.Module):
        def __init__(self, before: int, width: int, stride: int) -> None:
            super().__init__()
            parts = [*conv(before, width, 1), nn.ReLU(), *conv(width, width, 3, stride), nn.ReLU()]
            self.inner = nn.Sequential(*parts, *conv(width, 4 * width, 1))
            last = self.inner[-1]
            assert isinstance(last, nn.BatchNorm2d)
            nn.init.constant_(last.weight, 0.3)
            alike = stride == 1 and before == 4 * width
            self.past = nn.Identity() if alike else nn.Sequential(*conv(before, 4 * width, 1, stride))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.inner(x) + self.past(x))

    parts: list[nn.Module] = [*conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for width, count, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            parts.append(Bottleneck(before, width, first if number == 0 else 1))
            before = 4 * width
    return lively(nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)))


MOBILE = [(32, 1, 3), (64, 2, 3), (64, 1, 3), (128, 2, 3), (128, 1, 3), (256, 2, 3), *[(256, 1, 5)] * 5]
MOBILE += [(512, 2, 5), (512, 1, 5)]
RESNET20, MLP = shipped("resnet20", "resnet20"), shipped("fashion_mlp", "fashion_mlp")
MINILM = random_network(encoder(384, 6), (64, 384), 256)
CASES = {
    "mlp-60": Case(MLP, 0.6),
    "mlp-90": Case(MLP, 0.9),
    "resnet20-40": Case(RESNET20, 0.4),
    "resnet20-80": Case(RESNET20, 0.8),
    "resnet20-80-untuned": Case(RESNET20, 0.8, 0),
    "resnet20-90": Case(RESNET20, 0.9),
    "encoder": Case(random_network(encoder(384, 2), (64, 384), 256), 0.6, 0),
    "mobilenet": Case(random_network(convolutions(16, MOBILE, 1000), (3, 224, 224), 64), 0.6),
    "yolo": Case(random_network(yolo, (3, 320, 320), 64), 0.6),
    "minilm": Case(MINILM, 0.6, 0),
    "minilm-tuned": Case(MINILM, 0.6, 4),
    "resnet50": Case(random_network(resnet50, (3, 224, 224), 64), 0.6),
    "bert": Case(random_network(encoder(768, 12), (64, 768), 128), 0.6),
}


def compressed(name: str, folder: Path) -> None:
    """The work that is measured, in a process of its own; what it gave is left in the folder."""
    from sim_compress import Session, Settings, compress, open_teacher
    from sim_compress.states.batches import batch_size

    case, begun, stages = CASES[name], time.perf_counter(), dict[str, float]()

    def progress(stage: str, _part: float) -> None:
        stages[stage] = time.perf_counter() - begun

    teacher = open_teacher(folder / "network.onnx")
    inputs = dict(np.load(folder / "calibration.npz"))
    result = compress(teacher, inputs, Settings(case.sparsity, tune=case.tune), progress)
    result.save(folder / "compressed.sim.safetensors")
    spent, processor = time.perf_counter() - begun, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    held_out = dict(np.load(folder / "held_out.npz"))
    labels = held_out.pop("labels", None)
    size = batch_size(teacher.model)

    def outputs(run: Callable[[Arrays], Mapping[str, np.ndarray]]) -> np.ndarray:
        samples = len(next(iter(held_out.values())))
        parts = [{n: u[i : i + size] for n, u in held_out.items()} for i in range(0, samples, size)]
        return np.concatenate([next(iter(run(part).values())) for part in parts])

    ours = outputs(Session(result.model).predict)
    theirs = outputs(Session(teacher.model).predict)
    found = {
        "wall": spent,
        "processor": processor,
        "peak": peak,
        "stages": stages,
        "sparsity": result.sparsity,
        "error": float(np.mean((ours - theirs) ** 2) / np.var(theirs)),
        "accuracy": None if labels is None else 100 * float(np.mean(ours.argmax(1) == labels)),
        "gap": result.outcomes.gap,
        "epochs": result.tuning.epochs,
    }
    (folder / "found.json").write_text(json.dumps(found))


def measured(name: str, environment: Mapping[str, str]) -> Cost:
    """One row, from a process of its own."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        making = [sys.executable, __file__, name, "--make", made]
        subprocess.run(making, check=True)
        subprocess.run([sys.executable, __file__, name, "--inside", made], env=environment, check=True)
        return Cost(name, **json.loads((folder / "found.json").read_text()))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []])
    parser.add_argument("--avx2", action="store_true", help="compiled code and BLAS for AVX2 and FMA")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.make or arguments.inside:
        (name,) = arguments.cases
        if arguments.make:
            CASES[name].network(arguments.make)
        else:
            compressed(name, arguments.inside)
        return
    environment = {**os.environ, **(AVX2 if arguments.avx2 else {})}
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(
        "| network | wall, s | processor, s | peak, GiB | sparsity | error | accuracy |\n" + "|---" * 7 + "|"
    )
    costs = []
    for name in arguments.cases or CASES:
        cost = measured(name, environment)
        costs.append(asdict(cost))
        accuracy = "" if cost.accuracy is None else f"{cost.accuracy:.2f}"
        times = f"{cost.wall:.1f} | {cost.processor:.1f} | {cost.peak:.2f}"
        kept = f"{100 * cost.sparsity:.1f} % | {cost.error:.3g} | {accuracy}"
        print(f"| {name} | {times} | {kept} |", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(costs, indent=1))


if __name__ == "__main__":
    main()
