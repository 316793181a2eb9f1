"""Plain Picard iteration on the unrolled A, B, C, D against the tied runtime and onnxruntime.

usage: python tools/bench/unrolled.py MODEL.onnx CALIBRATION.npz [--samples 4] [--artifact FILE]

Prints the largest relative differences of the outputs on real inputs, and the time of both evaluations. With
--artifact the matrices are those of the compressed model and onnxruntime is left out.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from sim_compress.artifact import read
from sim_compress.model import ImplicitModel, matrices, weight_shape
from sim_compress.model.maps import Array
from sim_compress.runtime import Session
from sim_compress.states import open_teacher


def picard(model: ImplicitModel, inputs: Array) -> tuple[Array, int, float]:
    """Outputs (samples, outputs), iterations until nothing moves, and seconds of the iteration alone."""
    A, B, C, D = matrices(model)
    print(f"A {A.shape} with {A.nnz:,} nonzeros, B {B.nnz:,}, C {C.nnz:,}, D {D.nnz:,}")
    samples = len(inputs)
    U = np.vstack([inputs.reshape(samples, -1).T.astype(np.float64), np.ones((1, samples))])
    started = time.perf_counter()
    sizes = np.cumsum([b.affine.rows * int(np.prod(b.affine.positions)) for b in model.blocks])[:-1]
    fed = B @ U
    X, iterations = np.zeros((weight_shape(A)[1], samples)), 0
    while True:
        parts = np.split(A @ X + fed, sizes)
        fresh = np.vstack(
            [
                b.phi(z.reshape(*b.affine.shape, samples)).reshape(-1, samples)
                for b, z in zip(model.blocks, parts, strict=True)
            ]
        )
        iterations += 1
        if np.array_equal(fresh, X):
            return (C @ X + D @ U).T, iterations, time.perf_counter() - started
        X = fresh


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--artifact", type=Path)
    args = parser.parse_args()
    teacher = open_teacher(args.model)
    model = read(args.artifact).model if args.artifact else teacher.model
    name = model.inputs[0].name
    inputs = np.load(args.data)[name][: args.samples].astype(np.float32)
    unrolled, iterations, seconds = picard(model, inputs)
    session = Session(model)
    session(inputs)
    started = time.perf_counter()
    tied = session.predict(inputs)
    spent = time.perf_counter() - started
    flat = np.concatenate([v.reshape(len(inputs), -1) for v in tied.values()], axis=1)
    scale = np.abs(unrolled).max()
    print(f"{iterations} iterations on the matrices; tied runtime {seconds / spent:.0f} times as fast")
    print(f"tied runtime against the matrices: {np.abs(flat - unrolled).max() / scale:.2e}")
    if not args.artifact:
        read_out = teacher.outputs({name: np.moveaxis(inputs, 0, -1)})
        theirs = np.concatenate([v.reshape(-1, len(inputs)).T for v in read_out.values()], axis=1)
        print(f"onnxruntime against the matrices: {np.abs(theirs - unrolled).max() / scale:.2e}")


if __name__ == "__main__":
    main()
