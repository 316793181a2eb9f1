"""Read an artifact by docs/format.md, with numpy and safetensors, as scipy matrices: read_artifact.py FILE"""

import json
import sys
import zlib
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import deserialize, safe_open
from scipy.sparse import csr_array

FORMATS = {"float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
PARTS = ("values", "exponents", "support")
WINDOW = (
    b'"bound":0.0,"kind":"acyclic"},"inputs":[{"data_free":false,"mirrored":false,"settings":{"allocation":"'
    b'output","augment":"mirror","ignore":[],"kappa":0.99,"matching":"relaxed","nearest_rounds":null,"object'
    b'ive":"perspective","only":[],"pattern":"unstructured","solver":"native","states":"regenerated","suppor'
    b't":"network","target_sparsity":0.,"targets":{},"tune":null,"values":{"blocks":[{"bias":true,"name":"re'
    b'lu","phi":{"name":"relu"},"shape":[16],"terms":[{"source":"x","weight":{"exponent":126,"nonzeros":'
)
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class Artifact(NamedTuple):
    """What a file holds: its metadata, the matrices A, B, C, D of every term and the biases, by name."""

    metadata: dict
    matrices: dict[str, csr_array]
    biases: dict[str, np.ndarray]


def open_file(path: Path) -> tuple[dict, dict]:
    """Metadata and tensors of a file whose digest is right."""
    data = path.read_bytes()
    head = json.loads(safe_open(path, "numpy").metadata()["sim_compress"])
    if (version := head.pop("version")) != 4:
        raise ValueError(f"expected format version 4, found {version}")
    if needs := set(head.pop("needs", [])) - {"shared", "tables"}:
        raise ValueError(f"the file needs {needs}, which this reader does not know")
    digits = data.index(mark := b'\\"digest\\":\\"') + len(mark)
    if sha256(data[:digits] + b"0" * 64 + data[digits + 64 :]).hexdigest() != head.pop("digest"):
        raise ValueError("the digest does not fit: the file is damaged")
    tensors = dict(deserialize(data))
    if packed := tensors.pop("metadata", None):
        head = json.loads(zlib.decompressobj(-15, WINDOW).decompress(packed["data"]))
    return head, tensors


def bits(data: bytes) -> np.ndarray:
    """Bytes as bits, the lowest first."""
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")


def numbers(data: bytes, count: int, width: int) -> np.ndarray:
    """Packed numbers of `width` bits."""
    return bits(data)[: count * width].reshape(count, width) @ (1 << np.arange(width))


def floats(sign: np.ndarray, exponent: np.ndarray, mantissa: np.ndarray, form: str) -> np.ndarray:
    """The values of an IEEE 754 format."""
    e, m = FORMATS[form]
    scale = np.ldexp(1.0, np.maximum(exponent, 1) - 2 ** (e - 1) + 1)
    return ((1 - 2 * sign) * scale * ((exponent > 0) + mantissa / 2**m)).astype(np.float32)


def whole(data: bytes, form: str) -> np.ndarray:
    """Values that stand one after the other."""
    e, m = FORMATS[form]
    found = numbers(data, 8 * len(data) // (1 + e + m), 1 + e + m)
    return floats(found >> (m + e), found >> m & 2**e - 1, found & 2**m - 1, form)


def parts(tensors: dict, name: str, weight: dict, size: int) -> list[bytes]:
    """Values of `size` bytes, exponents and support of a matrix; no tensor where all entries are 0."""
    if name not in tensors:
        found = [tensors[n]["data"] if (n := f"{name}.{kind}") in tensors else b"" for kind in PARTS]
        return [found[0], zlib.decompress(found[1], -15) if found[1] else b"", found[2]]
    data, rest = tensors[name]["data"][:size], tensors[name]["data"][size:]
    if "exponent" not in weight:
        return [data, b"", rest]
    stream = zlib.decompressobj(-15)
    return [data, stream.decompress(rest), stream.unused_data]


def values(data: bytes, heads: bytes, weight: dict, count: int) -> np.ndarray:
    """The nonzeros of a matrix."""
    form = weight.get("values", "float32")
    if "exponent" not in weight:
        return whole(data, form)
    lead, (_, m) = weight.get("lead", 3), FORMATS[form]
    top = ((weight["exponent"] + 1) << lead) - 1 - np.frombuffer(heads, np.uint8).astype(int)
    rest = numbers(data, count, 1 + m - lead)
    mantissa = (top % 2**lead << (m - lead)) + rest % 2 ** (m - lead)
    return floats(rest >> (m - lead), top >> lead, mantissa, form)


def places(data: bytes, weight: dict, count: int) -> np.ndarray:
    """Numbers of the entries that are not 0."""
    if "nonzeros" not in weight:
        return np.arange(count)
    if "rice" not in weight:
        return np.flatnonzero(bits(zlib.decompress(data, -15)))
    size = -(-count * weight["rice"] // 8)
    high = np.diff(np.flatnonzero(bits(data[size:])), prepend=-1) - 1
    return np.cumsum((high << weight["rice"]) + numbers(data[:size], count, weight["rice"]) + 1) - 1


def matrix(tensors: dict, name: str, weight: dict) -> csr_array:
    """One matrix from its fields and tensors."""
    (rows, columns), groups = weight["shape"], weight.get("groups", 1)
    width = columns // groups
    count = weight.get("nonzeros", rows * width)
    e, m = FORMATS[weight.get("values", "float32")]
    width_of_value = 1 + m - weight.get("lead", 3) if "exponent" in weight else 1 + e + m
    data, heads, support = parts(tensors, name, weight, -(-count * width_of_value // 8))
    entries = places(support, weight, count)
    placed = (row := entries // width, entries % width + row * groups // rows * width)
    return csr_array((values(data, heads, weight, count), placed), shape=(rows, columns))


def read(path: Path) -> Artifact:
    """All matrices and biases of a file."""
    metadata, tensors = open_file(path)
    inputs, blocks = {i["name"] for i in metadata["inputs"]}, metadata["blocks"]
    found, biases = Artifact(metadata, known := {}, {}), 0
    for i, entry in enumerate([*blocks, *metadata["outputs"]]):
        for t, term in enumerate(entry["terms"]):
            for step in term.get("maps", ()):
                if isinstance(table := step.get("table"), dict) and "weight" in table:
                    known[table["tensor"]] = matrix(tensors, table["tensor"], table["weight"])
            if weight := term.get("weight"):
                name = f"{('AB' if i < len(blocks) else 'CD')[term['source'] in inputs]}.{i}.{t}"
                known[name] = known[weight] if str(weight) in known else matrix(tensors, name, weight)
        if (bias := entry.get("bias")) in found.biases:
            found.biases[f"bias.{i}"] = found.biases[bias]
        elif bias:
            rows = entry["shape"][entry.get("row_axis", 0)] if entry["shape"] else 1
            own = tensors.get(f"bias.{i}")
            tensor, start, biases = (own, 0, biases) if own else (tensors["bias"], biases, biases + rows)
            found.biases[f"bias.{i}"] = whole(tensor["data"], DTYPES[tensor["dtype"]])[start : start + rows]
    return found


if __name__ == "__main__":
    artifact = read(Path(sys.argv[1]))
    for label, array in (artifact.matrices | artifact.biases).items():
        print(f"{label}: {array.shape}" + (f", {array.size} nonzeros" if label in artifact.matrices else ""))
