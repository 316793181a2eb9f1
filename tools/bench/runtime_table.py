"""The runtime beside dense onnxruntime on every class of network: a table of ratios.

    python tools/bench/runtime_table.py [ROW ...] [--rounds 10] [--folder FOLDER]

Weights are pruned by magnitude, every matrix alike; networks that do not ship have random weights and are
exported by torch into FOLDER (`made_networks.py`). One thread, processor time, both runtimes in turn: dense
onnxruntime's median over ours, and the quartiles. Other engines are timed where they can be imported. Sizes
of a batch are timed apart; a row of "levels" has a figure for each level of sparsity.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from made_networks import MADE, made
from numpy.typing import NDArray
from pruning import thinned
from scipy import sparse

from sim_compress.compilation.environment import features
from sim_compress.frontend import load_teacher
from sim_compress.model import ImplicitModel
from sim_compress.report.bench import DenseRuntime, made_up_inputs, measure_speed
from sim_compress.runtime import Session, numpy_blocks

SHARED = Path(__file__).parents[3] / "shared/models"
# Matrices of fewer numbers are left alone.
SMALLEST = 200
SETS = ("avx512f", "avx2", "avx", "sse2", "neon")


@dataclass(frozen=True)
class Row:
    """A network of the table.

    Attributes:
        file: below ../shared/models, None where torch makes it.
        bars: batch -> the ratio asked for at each level.
    """

    file: str | None
    levels: tuple[int, ...]
    bars: dict[int, tuple[float, ...]]


LEVELS = (50, 80, 90)
ROWS = {
    "resnet20": Row("cifar10_resnet20.onnx", LEVELS, {1: (1.5, 2.5, 3.8), 64: (1.5, 2.5, 3.8)}),
    "minilm": Row(None, (30, 40, *LEVELS), {1: (1, 1, 1.5, 2.8, 4), 8: (1, 1, 1.5, 2.8, 4)}),
    "bert-base": Row(None, (80,), {1: (2.5,)}),
    "vit": Row("onnx/vit_pgd_2_3_16.onnx", (80,), {1: (4,), 64: (5,)}),
    "resnet50": Row(None, (80,), {1: (2,)}),
    "squeezenet": Row(None, (80,), {1: (1.8,)}),
    "mobilenet_v2": Row(None, (80,), {1: (1.6,)}),
    "cifar10_small": Row("onnx/cifar10_small.onnx", (80,), {1: (1.6,), 64: (1.4,)}),
    "mlp": Row("onnx/mnist-net_256x2.onnx", (80,), {1: (2,), 64: (2,)}),
    "detector": Row(None, (80,), {1: (1.6,)}),
    "wavenet": Row(None, (80,), {1: (1.6,)}),
}


def pruned(model: ImplicitModel, level: float) -> ImplicitModel:
    """The model without so many percent of the numbers of every matrix, the smallest ones."""

    def kept(weight: sparse.csr_array) -> NDArray[np.bool_] | None:
        sizes = abs(weight.data)
        return None if weight.nnz < SMALLEST else sizes > np.quantile(sizes, level / 100)

    return thinned(model, kept)


class _OneByOne:
    """onnxruntime on a file that takes one sample at a time, called with several."""

    def __init__(self, dense: DenseRuntime) -> None:
        self._dense = dense

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> object:
        count = len(next(iter(inputs.values())))
        return [self._dense({n: u[i : i + 1] for n, u in inputs.items()}) for i in range(count)]


def openvino(path: Path) -> Callable[[Mapping[str, np.ndarray]], object] | None:
    """OpenVINO on the dense network, None where it is not installed."""
    try:
        from openvino import Core  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = Core().compile_model(str(path), "CPU", options)
    return lambda inputs: compiled(list(inputs.values()))


def line(name: str, row: Row, folder: Path, rounds: int) -> None:
    """Print what a network gives at all batch sizes and levels."""
    path = made(name, folder) if row.file is None else SHARED / row.file
    if not path.is_file():
        print(f"| {name} | {path} is not there |", flush=True)
        return
    dense, exact = DenseRuntime(path, 1), load_teacher(path).model
    fixed, other = dense.fixed_batch(exact), openvino(path)
    for batch, bars in row.bars.items():
        inputs = made_up_inputs(exact, batch)
        theirs = _OneByOne(dense) if fixed == 1 and batch > 1 else dense
        sessions = [Session(pruned(exact, level), kernel="numba", threads=1) for level in row.levels]
        speeds = [measure_speed(s, theirs, inputs, rounds, time.thread_time) for s in sessions]
        cells = [f"{speed.ratio:.2f} ({speed.low:.2f}-{speed.high:.2f})" for speed in speeds]
        left, beside = numpy_blocks(sessions[-1].model) or (), ""
        if other is not None:
            against = measure_speed(sessions[-1], other, inputs, rounds, time.thread_time)
            beside = f" | {against.ratio:.2f}"
        levels = " / ".join(map(str, row.levels))
        wanted = " / ".join(f"{bar:g}" for bar in bars)
        print(
            f"| {name} | {batch} | {levels} % | {1e3 * speeds[0].theirs:.3f} ms | {' / '.join(cells)} "
            f"| {wanted} | {', '.join(left) or '-'}{beside} |",
            flush=True,
        )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", nargs="*", default=[], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "sim-compress-networks")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]!r}: there are {', '.join(ROWS)}")
    assert {name for name, row in ROWS.items() if row.file is None} <= set(MADE)
    present = features()
    has = next((name for name in SETS if present.get(name)), "plain")
    print(f"{_processor()}, our code for {has}, load {os.getloadavg()[0]:.1f}\n")
    print("| network | batch | sparsity | onnxruntime | times faster (quartiles) | bar | steps in numpy |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.rows or ROWS:
        line(name, ROWS[name], arguments.folder, arguments.rounds)


def _processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (text.partition(":")[2].strip() for text in lines if "model name" in text), platform.machine()
    )


if __name__ == "__main__":
    main()
