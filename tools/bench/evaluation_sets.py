"""Write calibration and evaluation sets for a network from a whole data set.

usage: PYTHONPATH=tools python tools/bench/evaluation_sets.py SOURCE INPUT OUT [options]

SOURCE is an npz with x_train, x_test, y_test (uint8 NCHW), or the folder with the four idx files of
Fashion-MNIST. INPUT is the network's input name. Writes OUT.calibration.npz (unlabelled training images)
and OUT.evaluation.npz (all test images with labels). With --mean and --std inputs are (x / 255 - mean) / std.
"""

import argparse
from pathlib import Path

import numpy as np
from fashion_mnist import load_split


def load(source: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training images, test images and test labels."""
    if source.is_dir():
        train, _ = load_split(source, "train")
        test, labels = load_split(source, "t10k")
        return train, test, labels
    held = np.load(source)
    return held["x_train"], held["x_test"], held["y_test"]


def numbers(text: str) -> np.ndarray:
    """A comma list as one value a channel."""
    return np.array([float(v) for v in text.split(",")], np.float32).reshape(-1, 1, 1)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("input")
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--mean", type=numbers)
    parser.add_argument("--std", type=numbers)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    def prepared(images: np.ndarray) -> np.ndarray:
        if args.mean is None or args.std is None:
            return images
        return (images.astype(np.float32) / 255 - args.mean) / args.std

    train, test, labels = load(args.source)
    pick = np.random.default_rng(args.seed).choice(len(train), args.samples, replace=False)
    np.savez(f"{args.out}.calibration.npz", allow_pickle=False, **{args.input: prepared(train[pick])})
    np.savez(
        f"{args.out}.evaluation.npz", allow_pickle=False, **{args.input: prepared(test), "labels": labels}
    )


if __name__ == "__main__":
    main()
