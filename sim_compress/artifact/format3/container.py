"""The one tensor of a file of version 3: digest, size of the metadata, metadata, arrays."""

import hashlib

import numpy as np

from sim_compress.artifact.coding.deflate import inflated
from sim_compress.artifact.container import File
from sim_compress.artifact.fields import Field, parse, shown
from sim_compress.artifact.format3.arrays import Arrays
from sim_compress.artifact.limits import MAX_TEXT
from sim_compress.errors import ArtifactError

TENSOR, DTYPE = "model", "U8"
DIGEST_BYTES, SIZE_BYTES = 32, 4
# The window that the deflate stream of the metadata begins with.
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


def opened(file: File) -> tuple[Field, Arrays]:
    """The metadata and the arrays of a file; the place where constants begin leaves the metadata.

    Raises:
        ArtifactError: it is damaged, or claims more metadata than its size allows.
    """
    stored = _model(file)
    if hashlib.sha256(stored[DIGEST_BYTES:].data).digest() != stored[:DIGEST_BYTES].tobytes():
        raise ArtifactError("the file is damaged: its digest (SHA-256) is not that of its bytes")
    begin = DIGEST_BYTES + SIZE_BYTES
    end = begin + int.from_bytes(stored[DIGEST_BYTES:begin].tobytes(), "little")
    if not begin <= end <= len(stored):
        raise ArtifactError(f"expected metadata of at most {len(stored) - begin} bytes, found {end - begin}")
    metadata = parse(_text(stored[begin:end].tobytes(), len(file.data)), "metadata")
    rest, constants = stored[end:], len(stored) - end
    if isinstance(metadata.value, dict) and "constants" in metadata.value:
        entry = Field(metadata.value["constants"], "metadata.constants")
        constants = entry.integer(0, len(rest))
        metadata = Field({k: v for k, v in metadata.value.items() if k != "constants"}, "metadata")
    return metadata, Arrays(
        rest[:constants], rest[constants:], len(file.data), stored[:DIGEST_BYTES].tobytes().hex()
    )


def _model(file: File) -> np.ndarray:
    """The bytes of the one tensor."""
    tensors, least = file.tensors, DIGEST_BYTES + SIZE_BYTES
    if set(tensors) != {TENSOR}:
        raise ArtifactError(f"expected one tensor {TENSOR!r}, found {shown(sorted(tensors))}")
    model = tensors[TENSOR]
    if model.dtype != DTYPE or len(model.shape) != 1 or model.shape[0] < least:
        found = f"{model.dtype} of shape {list(model.shape)}"
        raise ArtifactError(f"tensor {TENSOR}: expected {DTYPE} of shape [{least} or more], found {found}")
    return model.data


def _text(stream: bytes, size: int) -> str:
    """The text of the metadata; no more of it is made than a file of this size may hold."""
    try:
        return inflated(stream, MAX_TEXT + size, DICTIONARY).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"metadata: expected UTF-8, found an error: {error}") from error
    except ArtifactError as error:
        raise ArtifactError(f"metadata: {error}") from error
