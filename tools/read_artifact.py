"""Read an artifact with numpy and json alone: a reader written from docs/format.md, and nothing else.

usage: python tools/read_artifact.py FILE

Checks what it needs; `sim_compress.load` checks every rule. The rows of M as dense arrays, by tensor name.
"""

import json
import sys
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

FORMATS = {"float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
PLAIN = {"F32": "<f4", "F64": "<f8", "U8": "u1"}


def open_file(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and tensors of a file whose digest is right."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    head = json.loads(header.pop("__metadata__")["sim_compress"])
    if head["version"] != 2:
        raise ValueError(f"expected format version 2, found {head['version']}")
    total, tensors = sha256(), {}
    for name, entry in sorted(header.items()):
        first, last = entry["data_offsets"]
        shape, stored = entry["shape"], data[start + first : start + last]
        total.update(f"{name} {entry['dtype']} [{','.join(map(str, shape))}]\n".encode() + stored)
        tensors[name] = np.frombuffer(stored, PLAIN[entry["dtype"]]).reshape(shape)
    if total.hexdigest() != head["sha256"]:
        raise ValueError("the digest does not fit: the file is damaged")
    return json.loads(zlib.decompress(tensors.pop("metadata").tobytes())), tensors


def numbers(stored: np.ndarray, start: int, count: int, bits: int) -> tuple[np.ndarray, int]:
    """Packed numbers from a byte on, and the byte after them."""
    end = start - (-count * bits // 8)
    planes = np.unpackbits(stored[start:end], bitorder="little")[: count * bits].reshape(count, bits)
    return planes @ (1 << np.arange(bits)), end


def floats(rests: np.ndarray, exponents: np.ndarray | None, form: str) -> np.ndarray:
    """Values from their rests and exponents, or from whole numbers."""
    e, m = FORMATS[form]
    sign = rests >> (m + e if exponents is None else m)
    power = rests >> m & 2**e - 1 if exponents is None else exponents
    scale = np.ldexp(1.0, np.maximum(power, 1) - 2 ** (e - 1) + 1)
    fraction = (power > 0) + (rests & 2**m - 1) / 2**m
    return ((1 - 2 * sign) * scale * fraction).astype(np.float32)


def matrix(stored: np.ndarray, weight: dict[str, Any], rows: int) -> np.ndarray:
    """The matrix behind a tensor and its fields."""
    groups, form, rice = weight.get("groups", 1), weight.get("values", "float32"), weight.get("rice", 0)
    columns = weight["columns"]
    width = columns // groups
    n, sparse, listed = weight.get("count", rows * width), "count" in weight, weight.get("exponents")
    low, end = numbers(stored, 0, n if sparse else 0, rice)
    e, m = FORMATS[form]
    rests, end = numbers(stored, end, n, 1 + m + (0 if listed else e))
    unary = np.diff(np.flatnonzero(np.unpackbits(stored[end:], bitorder="little")), prepend=-1) - 1
    values = floats(rests, np.array(listed)[unary[-n:] if n else []] if listed else None, form)
    places = np.cumsum((unary[:n] << rice) + low + 1) - 1 if sparse else np.arange(n)
    found = np.zeros((rows, columns), np.float32)
    row, column = places // width, places % width
    found[row, column + row * groups // rows * width] = values
    return found


def rows_of(path: Path) -> dict[str, np.ndarray]:
    """Every matrix and bias of a file by the name of its tensor."""
    metadata, tensors = open_file(path.read_bytes())
    found: dict[str, np.ndarray] = {}
    for letters, part in (("AB", "blocks"), ("CD", "outputs")):
        for i, entry in enumerate(metadata[part]):
            rows = entry["shape"][entry.get("row_axis", 0)] if entry["shape"] else 1
            if "bias" in entry:
                bits = 1 + sum(FORMATS[entry["bias"]])
                whole = numbers(tensors[f"{letters[1]}.{i}.bias"], 0, rows, bits)[0]
                found[f"{letters[1]}.{i}.bias"] = floats(whole, None, entry["bias"])
            for t, term in enumerate(entry["terms"]):
                if "weight" in term:
                    name = f"{letters[term['source'] < len(metadata['inputs'])]}.{i}.{t}"
                    found[name] = matrix(tensors[name], term["weight"], rows)
    return found


def main(arguments: list[str]) -> None:
    for name, values in rows_of(Path(arguments[0])).items():
        print(f"{name}: {values.shape}, {np.count_nonzero(values)} nonzeros")


if __name__ == "__main__":
    main(sys.argv[1:])
