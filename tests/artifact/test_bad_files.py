"""What is not an artifact at all is refused."""

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sim_compress.artifact import read
from sim_compress.errors import ArtifactError

from .breaking import refusal
from .crafting import encoded, header_of, sealed, with_header
from .models import feedforward_model


@pytest.mark.parametrize("header", ["{}", '{"__metadata__": {}}', '{"__metadata__": {"format": "pt"}}'])
def test_another_safetensors_file_is_refused(header: str, tmp_path: Path) -> None:
    assert "found no metadata 'sim_compress'" in refusal(with_header(header, b""), tmp_path)


def test_a_tensor_named_twice_is_refused(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    header = json.dumps(header_of(data))
    twice = header[:-1] + ', "B.0.bias": ' + json.dumps(header_of(data)["B.0.bias"]) + "}"
    body = data[8 + int.from_bytes(data[:8], "little") :]
    assert "found 'B.0.bias' twice" in refusal(with_header(twice, body), tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\xff" * 100, encoded(feedforward_model())[:-1]])
def test_a_file_that_is_no_safetensors_is_refused(data: bytes, tmp_path: Path) -> None:
    assert "expected a whole safetensors file" in refusal(data, tmp_path)


def test_other_metadata_keys_are_ignored(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    header = header_of(data)
    header["__metadata__"]["format"] = "np"
    body = data[8 + int.from_bytes(data[:8], "little") :]
    (tmp_path / "m.safetensors").write_bytes(with_header(json.dumps(header), body))
    assert read(tmp_path / "m.safetensors").model.nnz == feedforward_model().nnz


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (3, "newer than 2, the newest this program reads: run  pip install"),
        (1, "older than 2, the only one this program reads: compress the network again"),
        (-1, "older than 2"),
        ("2", "expected format version 2, found '2'"),
        (True, "expected format version 2, found True"),
        (None, "expected format version 2, found None"),
    ],
)
def test_another_version_is_refused(version: object, message: str, tmp_path: Path) -> None:
    assert message in refusal(sealed({}, version), tmp_path)


def test_a_file_of_format_1_is_refused_with_what_to_do(tmp_path: Path) -> None:
    first = {"version": 1, "inputs": [], "blocks": [], "outputs": []}
    data = save({"A.0.0.dense": np.ones((2, 2), np.float32)}, {"sim_compress": json.dumps(first)})
    assert "format version 1 is older than 2, the only one" in refusal(data, tmp_path)


def test_any_changed_bit_is_found(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    start = 8 + int.from_bytes(data[:8], "little")
    for place in np.random.default_rng(0).integers(start, len(data), 100):
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        assert "damaged: its digest" in refusal(bytes(damaged), tmp_path)


def test_tensors_that_changed_places_are_found(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    header = header_of(data)
    header["B.3.bias"], header["D.2.bias"] = header["D.2.bias"], header["B.3.bias"]
    body = data[8 + int.from_bytes(data[:8], "little") :]
    assert "damaged: its digest" in refusal(with_header(json.dumps(header), body), tmp_path)


@pytest.mark.parametrize("digest", [None, "", "0" * 64, 5])
def test_another_digest_is_refused(digest: object, tmp_path: Path) -> None:
    head = json.dumps({"version": 2, "sha256": digest})
    assert "damaged: its digest" in refusal(save({}, {"sim_compress": head}), tmp_path)


def stream(text: bytes) -> np.ndarray:
    return np.frombuffer(zlib.compress(text), np.uint8)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (np.zeros(9, np.uint8), "expected a zlib stream, found an error"),
        (np.zeros(9, np.float32), "tensor metadata: expected U8, found F32"),
        (stream(b"{}")[:-1], "expected exactly one whole zlib stream"),
        (np.append(stream(b"{}"), np.uint8(0)), "expected exactly one whole zlib stream"),
        (stream(b"\xff"), "expected UTF-8"),
        (stream(b" " * 2**24), "of text, found more"),
    ],
)
def test_metadata_that_cannot_be_unpacked_is_refused(
    metadata: np.ndarray, message: str, tmp_path: Path
) -> None:
    assert message in refusal(sealed({"metadata": metadata}), tmp_path)


def test_a_file_without_metadata_is_refused(tmp_path: Path) -> None:
    assert "tensor 'metadata': expected in the file" in refusal(sealed({}), tmp_path)


@pytest.mark.parametrize(
    ("name", "found"), [("missing", "no such file"), (".", "a folder"), ("a\0b", "no such")]
)
def test_a_path_without_a_file_is_refused(name: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=found):
        read(tmp_path / name)


@pytest.mark.skipif(os.name != "posix", reason="needs a device file")
def test_a_device_is_refused() -> None:
    with pytest.raises(ArtifactError, match="not a regular file"):
        read("/dev/zero")


def test_a_file_without_read_rights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.safetensors").touch()

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ArtifactError, match="Permission denied"):
        read(tmp_path / "m.safetensors")
