"""Accuracy at equal sparsity: this tool, itself without one step at a time, magnitude, onnxsim's pruning.

usage: python tools/bench/accuracy.py NETWORK.onnx CALIBRATION.npz EVALUATION.npz [--levels 50 80]

All see the same unlabelled calibration inputs; the evaluation data, with labels, serve for the scores alone.
onnxsim (0.8, from PyPI) takes batches of the inputs; where it leaves layers out, the sparsity says so.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from pruning import thinned
from scipy import sparse

from sim_compress import Session, Settings, compress
from sim_compress.report.reference import teacher_outputs
from sim_compress.states import Teacher, open_teacher

Arrays = Mapping[str, np.ndarray]
# A method gives sparsity and scores (samples, classes) of the network at a level.
Found = tuple[float, np.ndarray]
BATCH = 64

OURS: dict[str, dict[str, object]] = {
    "sim-compress": {},
    "no mirror images": {"augment": "none"},
    "not tuned, moved targets": {"tune": 0},
    "not tuned, no moved targets": {"tune": 0, "nearest_rounds": 0},
    "tuned, moved targets": {"nearest_rounds": 2},
    "one alpha for all blocks": {"allocation": "alpha"},
    "one sparsity for all blocks": {"allocation": "uniform"},
    "baseline states": {"states": "baseline"},
    "l1 in place of perspective": {"objective": "l1"},
    "float16 values": {"values": "float16"},
}


def ours(teacher: Teacher, calibration: Arrays, images: Arrays, settings: Settings) -> Found:
    result = compress(teacher, calibration, settings)
    return result.sparsity, first(Session(result.model).predict(images))


def first(outputs: Arrays) -> np.ndarray:
    return next(iter(outputs.values()))


def magnitude(teacher: Teacher, images: Arrays, level: float) -> Found:
    """The largest weights of every block, normalisations folded in, and nothing fitted."""

    def kept(weight: sparse.csr_array) -> NDArray[np.bool_]:
        sizes = np.abs(weight.data)
        return sizes >= np.sort(sizes)[round(level * len(sizes)) :].min(initial=np.inf)

    small = thinned(teacher.model, kept)
    return 1 - small.nnz / teacher.model.nnz, first(Session(small).predict(images))


def onnxsim(name: str, teacher: Teacher, calibration: Arrays, images: Arrays, level: float) -> Found:
    """One of onnxsim's pruning methods, run by onnxruntime."""
    import onnxsim.pruning as pruning

    samples = len(next(iter(calibration.values())))
    parts = [
        {n: u[i : i + BATCH].astype(np.float32) for n, u in calibration.items()}
        for i in range(0, samples, BATCH)
    ]
    methods: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
        "magnitude": lambda m: pruning.apply_magnitude_pruning(m, level),
        "global magnitude": lambda m: pruning.apply_magnitude_pruning(m, level, global_sparsity=True),
        "Wanda": lambda m: pruning.apply_wanda_pruning(m, parts, sparsity=level),
        "SparseGPT": lambda m: pruning.apply_sparsegpt_pruning(m, parts, sparsity=level),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pruned.onnx"
        onnx.save(methods[name](onnx.load(teacher.path)), path)
        pruned = open_teacher(path)
        return 1 - pruned.model.nnz / teacher.model.nnz, first(teacher_outputs(pruned)(images))


def methods_of(teacher: Teacher, calibration: Arrays, images: Arrays) -> dict[str, Callable[[float], Found]]:
    found: dict[str, Callable[[float], Found]] = {
        name: lambda level, changed=changed: ours(
            teacher, calibration, images, replace(Settings(level), **changed)
        )
        for name, changed in OURS.items()
    }
    found["magnitude, folded"] = lambda level: magnitude(teacher, images, level)
    for name in ("magnitude", "global magnitude", "Wanda", "SparseGPT"):
        found[f"onnxsim {name}"] = lambda level, name=name: onnxsim(name, teacher, calibration, images, level)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--levels", type=float, nargs="+", default=[50.0, 60.0, 70.0, 80.0, 90.0])
    parser.add_argument("--methods", nargs="+")
    arguments = parser.parse_args()
    teacher = open_teacher(arguments.network)
    calibration, evaluation = dict(np.load(arguments.calibration)), dict(np.load(arguments.evaluation))
    labels = evaluation.pop("labels")
    dense = first(teacher_outputs(teacher)({n: u.astype(np.float32) for n, u in evaluation.items()}))
    print(f"dense: {100 * np.mean(dense.argmax(1) == labels):.2f}")
    print("| method |" + "".join(f" {level:g} % |" for level in arguments.levels))
    images = {n: u.astype(np.float32) for n, u in evaluation.items()}
    for name, method in methods_of(teacher, calibration, images).items():
        if arguments.methods and name not in arguments.methods:
            continue
        cells = []
        for level in arguments.levels:
            begun = time.perf_counter()
            sparsity, scores = method(level / 100)
            spent = time.perf_counter() - begun
            off = "" if abs(100 * sparsity - level) < 0.1 else f" at {100 * sparsity:.1f} %"
            cells.append(f"{100 * np.mean(scores.argmax(1) == labels):.2f}{off} ({spent:.0f} s)")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
