"""Networks that others made: is the state model exact, and what is left of the outputs when it is sparse?

    python tools/bench/networks.py ../shared/models/onnx/*.onnx --sparsity 50 80
    python tools/bench/networks.py det.onnx --input-shape x=1x3x96x96 --data pages.npz

One row a file. Without data inputs are made up as sim-compress itself does it: a quarter of them is held out.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sim_compress import Session, Settings, compress
from sim_compress.cli.data import calibration_data
from sim_compress.cli.values import input_shape
from sim_compress.errors import SimCompressError
from sim_compress.report.reference import teacher_outputs
from sim_compress.states import Teacher, open_teacher

Arrays = Mapping[str, np.ndarray]


def data_of(teacher: Teacher, path: Path | None, samples: int) -> tuple[Arrays, Arrays]:
    """Calibration and held-out inputs."""
    found = calibration_data(path, Path("none"), teacher, None, 0).inputs
    count = min(samples, len(next(iter(found.values()))))
    cut = count - max(count // 4, 1)
    return {n: u[:cut] for n, u in found.items()}, {n: u[cut:count] for n, u in found.items()}


def error(ours: Arrays, theirs: Arrays) -> float:
    """Largest |y - y_teacher| / |y_teacher| (Frobenius) of the outputs."""
    parts = [
        float(np.linalg.norm(ours[n] - y) / (np.linalg.norm(y) or 1.0)) for n, y in theirs.items() if y.size
    ]
    return max(parts, default=0.0)


def same_choice(ours: Arrays, theirs: Arrays) -> str:
    """Part of the samples whose largest score is the teacher's, for outputs that are vectors of scores."""
    parts = [
        f"{np.mean(ours[n].argmax(-1) == y.argmax(-1)):.3f}"
        for n, y in theirs.items()
        if y.ndim > 1 and y.shape[-1] > 1
    ]
    return " ".join(parts) or "-"


def row(path: Path, arguments: argparse.Namespace) -> str:
    """One row of the table, or why there is none."""
    begun = time.perf_counter()
    try:
        teacher = open_teacher(path, dict(arguments.input_shape))
        inputs, held_out = data_of(teacher, arguments.data, arguments.samples)
        predict = teacher_outputs(teacher)
        theirs = predict(held_out)
        exact = error(Session(teacher.model).predict(held_out), theirs)
        cells = [path.name, f"{teacher.model.parameters:,}", f"{exact:.1e}"]
        for sparsity in arguments.sparsity:
            found = compress(teacher, inputs, Settings(sparsity / 100, tune=arguments.tune))
            ours = Session(found.model).predict(held_out)
            cells += [
                f"{100 * found.sparsity:.1f} %",
                f"{error(ours, theirs):.3f}",
                same_choice(ours, theirs),
            ]
    except SimCompressError as refused:
        return f"| {path.name} | refused: {refused} |"
    return "| " + " | ".join([*cells, f"{time.perf_counter() - begun:.0f} s"]) + " |"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--input-shape", action="append", default=[], type=input_shape)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--sparsity", type=float, nargs="+", default=[50.0, 80.0])
    parser.add_argument("--tune", type=int, help="epochs of gradient descent afterwards")
    arguments = parser.parse_args(argv)
    levels = "".join(" sparsity | error | same choice |" for _ in arguments.sparsity)
    print(f"| network | parameters | exact to |{levels} time |")
    print("|---" * (4 + 3 * len(arguments.sparsity)) + "|")
    for path in arguments.files:
        print(row(path, arguments), flush=True)


if __name__ == "__main__":
    main()
