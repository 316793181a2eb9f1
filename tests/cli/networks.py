"""Small networks with data, for command lines that must be quick."""

import os
from pathlib import Path

import numpy as np
import onnx

from sim_compress.report import Report, read_report
from tests.frontend.graphs import graph_of, node, random

# A fresh interpreter in another folder finds the package also where it is not installed.
ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
IMAGE = (1, 6, 6)
CLASSES = 3
SAMPLES = 40


def classifier(shape: tuple[int, ...] = IMAGE) -> onnx.ModelProto:
    """Convolution, ReLU, global average, three scores; inputs `images`, outputs `scores`."""
    nodes = [
        node("Conv", ["images", "kernel", "shift"], ["maps"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["maps"], ["active"]),
        node("Flatten", ["active"], ["flat"]),
        node("Gemm", ["flat", "rows", "bias"], ["scores"], transB=1),
    ]
    channels, height, width = shape
    constants = {
        "kernel": random(4, channels, 3, 3),
        "shift": random(4, seed=1),
        "rows": random(CLASSES, 4 * height * width, seed=2),
        "bias": random(CLASSES, seed=3),
    }
    return graph_of(nodes, {"images": shape}, constants)


def images(samples: int = SAMPLES, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (samples, *IMAGE)).astype(np.uint8)


def labels(samples: int = SAMPLES, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CLASSES, samples)


def names(folder: Path) -> list[str]:
    """Names of everything in a folder, hidden files too, but for run folders: a slow job may leave one."""
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".sim.run"))


def two_ends() -> onnx.ModelProto:
    """Inputs `left` and `right`, outputs `scores` (3) and `total` (1)."""
    nodes = [
        node("Concat", ["left", "right"], ["both"], axis=1),
        node("Gemm", ["both", "first"], ["hidden"], transB=1),
        node("Relu", ["hidden"], ["active"]),
        node("Gemm", ["active", "second"], ["scores"], transB=1),
        node("Gemm", ["active", "third"], ["total"], transB=1),
    ]
    constants = {"first": random(20, 12), "second": random(3, 20), "third": random(1, 20)}
    return graph_of(nodes, {"left": (6,), "right": (6,)}, constants, ["scores", "total"])


def one_number() -> onnx.ModelProto:
    """Inputs `images`, one number `total`: no class scores."""
    nodes = [
        node("Flatten", ["images"], ["flat"]),
        node("Gemm", ["flat", "first"], ["hidden"], transB=1),
        node("Relu", ["hidden"], ["active"]),
        node("Gemm", ["active", "second"], ["total"], transB=1),
    ]
    return graph_of(nodes, {"images": IMAGE}, {"first": random(20, 36), "second": random(1, 20)})


def report() -> Report:
    """The report in the current folder."""
    return read_report(Path("net.sim.json"))
