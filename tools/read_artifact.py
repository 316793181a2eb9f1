"""Read an artifact with numpy and json alone, by docs/format.md: python tools/read_artifact.py FILE"""

import json
import sys
import zlib
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np

FORMATS = {"float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
DICTIONARY = (
    b'"kernel":[2,2],"name":"max_pool","pads_begin":[0,0],"pads_end":[0,0],"strides":[2,2]},"maps":[{"after":'
    b'[1,1],"before":[1,1],"dilations":[1,1],"kernel":[3,3],"map":"patches","strides":[1,1]}],"provenance":{"'
    b'alpha":[0.0],"calibration":{"data_free":false,"mirrored":false,"samples":512,"sha256":"","source":"cali'
    b'bration.npz"},"nonzeros":,"rows":{"gap":e-07,"optimal":},"settings":{"allocation":"output","augment":"m'
    b'irror","ignore":[],"kappa":0.99,"matching":"relaxed","nearest_rounds":2,"objective":"perspective","only'
    b'":[],"pattern":"unstructured","solver":"native","states":"regenerated","support":"network","target_spar'
    b'sity":0.5,"targets":{},"values":"float32"},"sparsity":0.,"teacher":{"file":"model.onnx","parameters":,"'
    b'sha256":""},"total_sparsity":0.}}{"blocks":[{"bias":"float32","name":"/Relu","phi":{"name":"relu"},"sha'
    b'pe":[1],"terms":[{"source":0,"weight":{"columns":10,"count":,"exponents":[124,125,123,122,126,121],"ric'
    b'e":1,"unary":1}}]}],"certificate":{"bound":0.0,"kind":"acyclic"},"inputs":[{"name":"input","shape":[1]}'
    b'],"outputs":[{"bias":"float32","name":"'
)


def open_file(data: bytes) -> tuple[dict, BytesIO]:
    """Metadata and arrays of a file whose digest is right."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    if (version := json.loads(header["__metadata__"]["sim_compress"])["version"]) != 3:
        raise ValueError(f"expected format version 3, found {version}")
    model = data[start:][slice(*header["model"]["data_offsets"])]
    if sha256(model[32:]).digest() != model[:32]:
        raise ValueError("the digest does not fit: the file is damaged")
    end = 36 + int.from_bytes(model[32:36], "little")
    text = zlib.decompressobj(-15, zdict=DICTIONARY).decompress(model[36:end])
    return json.loads(text), BytesIO(model[end:])


def bits(arrays: BytesIO, size: int) -> np.ndarray:
    """The next bytes as bits."""
    return np.unpackbits(np.frombuffer(arrays.read(size), np.uint8), bitorder="little")


def numbers(arrays: BytesIO, count: int, width: int) -> np.ndarray:
    """The next numbers of `width` bits."""
    found = bits(arrays, -(-count * width // 8))[: count * width]
    return found.reshape(count, width) @ (1 << np.arange(width))


def floats(rests: np.ndarray, exponents: np.ndarray | None, form: str) -> np.ndarray:
    """Values from their rests and exponents, or from whole numbers."""
    e, m = FORMATS[form]
    sign = rests >> (m + e if exponents is None else m)
    power = rests >> m & 2**e - 1 if exponents is None else exponents
    scale = np.ldexp(1.0, np.maximum(power, 1) - 2 ** (e - 1) + 1)
    return ((1 - 2 * sign) * scale * ((power > 0) + (rests & 2**m - 1) / 2**m)).astype(np.float32)


def matrix(arrays: BytesIO, weight: dict, rows: int) -> np.ndarray:
    """The next matrix, of these fields."""
    groups, form, rice = weight.get("groups", 1), weight.get("values", "float32"), weight.get("rice", 0)
    width = weight["columns"] // groups
    n, sparse, listed = weight.get("count", rows * width), "count" in weight, weight.get("exponents")
    low = numbers(arrays, n if sparse else 0, rice)
    e, m = FORMATS[form]
    rests = numbers(arrays, n, 1 + m + (0 if listed else e))
    unary = np.diff(np.flatnonzero(bits(arrays, weight.get("unary", 0))), prepend=-1) - 1
    values = floats(rests, np.array(listed)[unary[-n:] if n else []] if listed else None, form)
    places = np.cumsum((unary[:n] << rice) + low + 1) - 1 if sparse else np.arange(n)
    found = np.zeros((rows, weight["columns"]), np.float32)
    row, column = places // width, places % width
    found[row, column + row * groups // rows * width] = values
    return found


def rows_of(path: Path) -> dict[str, np.ndarray]:
    """Every matrix and bias of a file by its name."""
    (metadata, arrays), found = open_file(path.read_bytes()), {}
    for letters, part in (("AB", "blocks"), ("CD", "outputs")):
        for i, entry in enumerate(metadata[part]):
            rows = entry["shape"][entry.get("row_axis", 0)] if entry["shape"] else 1
            if "bias" in entry:
                whole = numbers(arrays, rows, 1 + sum(FORMATS[entry["bias"]]))
                found[f"{letters[1]}.{i}.bias"] = floats(whole, None, entry["bias"])
            for t, term in enumerate(entry["terms"]):
                if "weight" in term:
                    name = f"{letters[term['source'] < len(metadata['inputs'])]}.{i}.{t}"
                    found[name] = matrix(arrays, term["weight"], rows)
    return found


if __name__ == "__main__":
    for label, array in rows_of(Path(sys.argv[1])).items():
        print(f"{label}: {array.shape}, {np.count_nonzero(array)} nonzeros")
