"""Fashion-MNIST from its four idx files (Debian package dataset-fashion-mnist)."""

import gzip
import struct
from pathlib import Path

import numpy as np

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def read_idx(path: Path) -> np.ndarray:
    """One gzipped idx file of unsigned bytes."""
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 1, 28, 28) and labels (n,) of `train` or `t10k`, as bytes."""
    images = read_idx(folder / f"{split}-images-idx3-ubyte.gz")
    return images[:, None], read_idx(folder / f"{split}-labels-idx1-ubyte.gz")
