"""Accuracy under patterns of hardware: this tool, no pattern, and magnitude without refit; time of channels.

usage: python tools/bench/patterns.py NETWORK.onnx CALIBRATION.npz EVALUATION.npz [--only PATTERN ...]

Magnitude keeps the largest groups of each block's own rows, channels those with the largest rows of each
state. Times are onnxruntime's on the exported graph over those on the network, turn by turn, one thread,
medians; batches of 1 and 64.
"""

import argparse
import time

import numpy as np
import onnxruntime as ort

from sim_compress import Settings, compress, open_teacher
from sim_compress.compression import pattern_of
from sim_compress.compression.allocation.channels import STAYS, channels
from sim_compress.compression.rows.problems import with_rows
from sim_compress.export import to_onnx
from sim_compress.model import Affine, ImplicitModel, Output, StateBlock, narrowed
from sim_compress.states import row_groups, teacher_rows

CASES = (
    *(("unstructured", level) for level in (0.2, 0.3, 0.5, 0.7)),
    *((pattern, 0.5) for pattern in ("2:4", "4:8", "block:1x4")),
    ("block:1x4", 0.7),
    *(("channels", level) for level in (0.2, 0.3, 0.5)),
    *((pattern, 0.5) for pattern in ("channels:8", "channels:16")),
)
BATCHES, ROUNDS = (1, 64), 30


def session(graph) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(graph, options)


def accuracy(run: ort.InferenceSession, images: np.ndarray, labels: np.ndarray) -> float:
    name = run.get_inputs()[0].name
    scores = [np.asarray(run.run(None, {name: images[i : i + 64]})[0]) for i in range(0, len(images), 64)]
    return 100 * float(np.mean(np.concatenate(scores).argmax(1) == labels))


def ratio(ours: ort.InferenceSession, theirs: ort.InferenceSession, batch: np.ndarray) -> float:
    spent: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for run, times in zip((ours, theirs), spent, strict=True):
            begun = time.perf_counter()
            run.run(None, {run.get_inputs()[0].name: batch})
            times.append(time.perf_counter() - begun)
    return float(np.median(spent[0]) / np.median(spent[1]))


def with_affines(model: ImplicitModel, change) -> ImplicitModel:
    blocks = tuple(StateBlock(b.name, change(b.name, b.affine), b.phi) for b in model.blocks)
    return ImplicitModel(
        model.inputs, blocks, tuple(Output(o.name, change(o.name, o.affine)) for o in model.outputs)
    )


def masked(affine: Affine, mask) -> Affine:
    """The teacher's rows where mask(group, W) is true; biases stay."""
    bias = np.zeros(affine.rows) if affine.bias is None else affine.bias.astype(np.float64)
    rows = [(g, teacher_rows(affine, g)) for g in row_groups(affine)]
    return with_rows(affine, [(W * mask(g, W), bias[g.rows]) for g, W in rows])


def magnitude(model: ImplicitModel, pattern: str, level: float) -> ImplicitModel:
    if pattern.startswith("channels"):
        return next(
            m
            for part in np.linspace(level / 3, 1, 200)
            if (m := smallest_rows(model, part)).nnz <= (1 - level) * model.nnz
        )
    own = pattern_of(pattern)

    def change(_name: str, affine: Affine) -> Affine:
        return masked(affine, lambda g, W: own.projection(affine, g)(W, round((1 - level) * W.size)))

    return with_affines(model, change)


def smallest_rows(model: ImplicitModel, part: float) -> ImplicitModel:
    """Without this part of every state's sets of channels, those with the smallest rows."""
    found = channels(model, {name for name, _ in model.affines()})
    sizes, owner = np.zeros(found.count), np.full(found.count, -1)
    for number, (name, affine) in enumerate(model.affines()):
        numbers = found.rows[name]
        owner[numbers[numbers >= 0]] = number
        for w in affine.weights:
            np.add.at(sizes, numbers[numbers >= 0], np.asarray(w.power(2).sum(axis=1)).ravel()[numbers >= 0])
    gone = np.zeros(found.count, bool)
    for number in set(owner):
        mine = np.flatnonzero(owner == number)
        gone[mine[np.argsort(sizes[mine])][: min(round(part * len(mine)), len(mine) - 1)]] = True
    stays = {n: (r == STAYS) | ~gone[np.maximum(r, 0)] for n, r in found.rows.items()}

    def change(name: str, affine: Affine) -> Affine:
        reads = [(c == STAYS) | ~gone[np.maximum(c, 0)] for c in found.columns[name]]
        return masked(
            affine, lambda g, _W: np.concatenate([r[f] for r, f in zip(reads, g.features, strict=True)])
        )

    return narrowed(with_affines(model, change), {b.name: stays[b.name] for b in model.blocks})


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("network")
    parser.add_argument("calibration")
    parser.add_argument("evaluation")
    parser.add_argument("--only", nargs="+", default=[pattern for pattern, _ in CASES])
    args = parser.parse_args()
    calibration, evaluation = dict(np.load(args.calibration)), np.load(args.evaluation)
    teacher, dense = open_teacher(args.network), session(args.network)
    images, labels = evaluation[teacher.model.inputs[0].name].astype(np.float32), evaluation["labels"]
    print(f"dense: {accuracy(dense, images, labels):.2f}")
    for pattern, level in (case for case in CASES if case[0] in args.only):
        begun = time.perf_counter()
        result = compress(teacher, calibration, Settings(level, pattern=pattern))
        spent = time.perf_counter() - begun
        run = session(to_onnx(result.model).SerializeToString())
        plain = session(to_onnx(magnitude(teacher.model, pattern, level)).SerializeToString())
        found, without = (accuracy(r, images, labels) for r in (run, plain))
        times = [ratio(run, dense, images[:size]) for size in BATCHES]
        print(
            f"{pattern:13} {100 * level:.0f} %: sparsity {100 * result.sparsity:.2f}, accuracy {found:.2f}, "
            f"magnitude {without:.2f}; time x {times[0]:.2f} {times[1]:.2f}; {spent:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
