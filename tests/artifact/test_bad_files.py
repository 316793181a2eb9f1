"""What is not an artifact at all is refused."""

import json
import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sim_compress.artifact import JSON, read
from sim_compress.artifact.container import deflated, sealed
from sim_compress.errors import ArtifactError

from .breaking import refusal
from .crafting import encoded, header_of, with_header
from .models import feedforward_model


@pytest.mark.parametrize("header", ["{}", '{"__metadata__": {}}', '{"__metadata__": {"format": "pt"}}'])
def test_another_safetensors_file_is_refused(header: str, tmp_path: Path) -> None:
    assert "found no metadata 'sim_compress'" in refusal(with_header(header, b""), tmp_path)


def test_a_tensor_named_twice_is_refused(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    header = json.dumps(header_of(data))
    twice = header[:-1] + ', "model": ' + json.dumps(header_of(data)["model"]) + "}"
    body = data[8 + int.from_bytes(data[:8], "little") :]
    assert "found 'model' twice" in refusal(with_header(twice, body), tmp_path)


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
        (4, "newer than 3, the newest this program reads: run  pip install"),
        (2, "older than 3, the only one this program reads: compress the network again"),
        (-1, "older than 3"),
        ("3", "expected format version 3, found '3'"),
        (True, "expected format version 3, found True"),
        (None, "expected format version 3, found None"),
    ],
)
def test_another_version_is_refused(version: JSON, message: str, tmp_path: Path) -> None:
    assert message in refusal(sealed(b"", b"", version), tmp_path)


def test_files_of_older_formats_are_refused_with_what_to_do(tmp_path: Path) -> None:
    for version in (1, 2):
        head = {"version": version, "sha256": "0" * 64}
        tensors = {"A.0.0": np.ones(2, np.uint8), "metadata": np.ones(9, np.uint8)}
        said = refusal(save(tensors, {"sim_compress": json.dumps(head)}), tmp_path)
        assert f"format version {version} is older than 3, the only one this program reads: compress" in said


def test_any_changed_bit_is_found(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    start = 8 + int.from_bytes(data[:8], "little")
    for place in np.random.default_rng(0).integers(start, len(data), 100):
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        assert "damaged: its digest" in refusal(bytes(damaged), tmp_path)


HEAD = {"sim_compress": '{"version": 3}'}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "expected one tensor 'model', found []"),
        ({"model": np.zeros(99, np.uint8), "more": np.zeros(1)}, "found ['model', 'more']"),
        ({"model": np.zeros(99, np.int8)}, "tensor model: expected U8 of shape [36 or more], found I8"),
        ({"model": np.zeros((9, 11), np.uint8)}, "found U8 of shape [9, 11]"),
        ({"model": np.zeros(35, np.uint8)}, "found U8 of shape [35]"),
        ({"model": np.zeros(36, np.uint8)}, "damaged: its digest"),
    ],
)
def test_another_tensor_is_refused(tensors: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    assert message in refusal(save(tensors, HEAD), tmp_path)


def test_metadata_that_goes_on_behind_the_end_is_refused(tmp_path: Path) -> None:
    body = (5).to_bytes(4, "little") + b"1234"
    model = np.frombuffer(sha256(body).digest() + body, np.uint8)
    assert "metadata of at most 4 bytes, found 5" in refusal(save({"model": model}, HEAD), tmp_path)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"\xff" * 9, "expected a deflate stream, found an error"),
        (b"", "expected exactly one whole deflate stream"),
        (deflated(b"{}")[:-1], "expected exactly one whole deflate stream"),
        (deflated(b"{}") + b"\0", "expected exactly one whole deflate stream"),
        (deflated(b"\xff"), "expected UTF-8"),
        (deflated(b" " * 2**24), "of text, found more"),
    ],
)
def test_metadata_that_cannot_be_unpacked_is_refused(stream: bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(sealed(stream, b""), tmp_path)


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
