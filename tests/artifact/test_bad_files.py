"""What is not an artifact at all is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sim_compress.artifact import JSON, read
from sim_compress.artifact.coding.deflate import deflated
from sim_compress.artifact.container import digest
from sim_compress.errors import ArtifactError

from .breaking import refusal
from .crafting import (
    Crafted,
    body_of,
    encoded,
    header_of,
    packed_text,
    sealed,
    tensor,
    with_header,
    with_stream,
)
from .models import feedforward_model

DIGITS = b'\\"digest\\":\\"'


@pytest.mark.parametrize("header", ["{}", '{"__metadata__": {}}', '{"__metadata__": {"format": "pt"}}'])
def test_another_safetensors_file_is_refused(header: str, tmp_path: Path) -> None:
    assert "found no metadata 'sim_compress'" in refusal(with_header(header, b""), tmp_path)


def test_a_tensor_named_twice_is_refused(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    header = json.dumps(header_of(data))
    twice = header[:-1] + ', "B.0.0": ' + json.dumps(header_of(data)["B.0.0"]) + "}"
    assert "found 'B.0.0' twice" in refusal(with_header(twice, body_of(data)), tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\xff" * 100, encoded(feedforward_model())[:-1]])
def test_a_file_that_is_no_safetensors_is_refused(data: bytes, tmp_path: Path) -> None:
    assert "expected a whole safetensors file" in refusal(data, tmp_path)


OTHER = b'"__metadata__":{"format":"np",'


def resealed(data: bytes, changed: bytes) -> bytes:
    """A file whose header was changed, with the length and the digest that it now has."""
    length = int.from_bytes(data[:8], "little") + len(changed) - len(data)
    header = changed[8 : 8 + length] + b" " * (-length % 8)
    whole = len(header).to_bytes(8, "little") + header + changed[8 + length :]
    digits = whole.index(DIGITS) + len(DIGITS)
    blank = whole[:digits] + b"0" * 64 + whole[digits + 64 :]
    return whole[:digits] + digest(blank).encode() + whole[digits + 64 :]


def test_other_metadata_keys_are_ignored(tmp_path: Path) -> None:
    text = json.dumps(Crafted.of(feedforward_model()).metadata)
    data = sealed(text, Crafted.of(feedforward_model()).tensors)
    (tmp_path / "m.safetensors").write_bytes(resealed(data, data.replace(b'"__metadata__":{', OTHER, 1)))
    assert read(tmp_path / "m.safetensors").model.nnz == feedforward_model().nnz


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (5, "newer than 4, the newest this program reads: run  pip install"),
        (2, "older than 3, the oldest this program reads: compress the network again"),
        (-1, "older than 3"),
        ("4", "expected format version 4, found '4'"),
        (True, "expected format version 4, found True"),
        (None, "expected format version 4, found None"),
    ],
)
def test_another_version_is_refused(version: JSON, message: str, tmp_path: Path) -> None:
    said = refusal(sealed("{}", {}, version), tmp_path)
    assert message in said
    assert "\n" not in said


def test_files_of_older_formats_are_refused_with_what_to_do(tmp_path: Path) -> None:
    for version in (1, 2):
        head = {"version": version, "digest": "0" * 64}
        tensors = {"A.0.0": np.ones(2, np.uint8), "metadata": np.ones(9, np.uint8)}
        said = refusal(save(tensors, {"sim_compress": json.dumps(head)}), tmp_path)
        assert f"format version {version} is older than 3, the oldest this program reads: compress" in said


def test_a_file_that_needs_what_a_later_program_knows_is_refused(tmp_path: Path) -> None:
    for needs in (["int8"], ["symbols", "int4"]):
        said = refusal(sealed(json.dumps({"needs": needs}), {}), tmp_path)
        assert f"needs {needs[0]!r}, which this program does not know: run  pip install" in said
    assert "needs[0]: expected a string" in refusal(sealed('{"needs": [1]}', {}), tmp_path)
    assert "needs: expected an array" in refusal(sealed('{"needs": "int8"}', {}), tmp_path)


def test_any_changed_bit_is_found(tmp_path: Path) -> None:
    data = encoded(feedforward_model())
    start = 8 + int.from_bytes(data[:8], "little")
    for place in np.random.default_rng(0).integers(start, len(data), 100):
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 8)
        assert "damaged: its digest" in refusal(bytes(damaged), tmp_path)


def test_a_changed_word_of_the_header_is_found(tmp_path: Path) -> None:
    crafted = Crafted.of(feedforward_model())
    data = sealed(json.dumps(crafted.metadata), crafted.tensors)
    for old, new in (
        (b"tokens", b"tokenz"),
        (b"A.3.0.v", b"A.3.1.v"),
        (b'U8","shape":[21]', b'I8","shape":[21]'),
    ):
        assert old in data
        assert "damaged: its digest" in refusal(data.replace(old, new), tmp_path)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"version": 4}, "digest: expected a string of Unicode text, found None"),
        ({"version": 4, "digest": 5}, "digest: expected a string of Unicode text, found 5"),
        ({"version": 4, "digest": "0" * 64}, "damaged: its digest"),
        ({"version": 4, "digest": ""}, "damaged: its digest"),
    ],
)
def test_a_head_without_its_digest_is_refused(head: dict, message: str, tmp_path: Path) -> None:
    text = json.dumps({"__metadata__": {"sim_compress": json.dumps(head, separators=(",", ":"))}})
    assert message in refusal(with_header(text, b""), tmp_path)


def test_a_tensor_at_an_odd_place_is_refused(tmp_path: Path) -> None:
    data = sealed("{}", {"a": tensor(np.zeros(2, np.float32)), "b": tensor(np.zeros(3, np.uint8))})
    moved = data.replace(b"[0,8]", b"[3,11]").replace(b"[8,11]", b"[0,3]")
    assert "a: expected a place that 4 divides, found byte" in refusal(resealed(data, moved), tmp_path)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"\xff" * 9, "metadata: expected a deflate stream, found an error"),
        (b"", "metadata: expected a whole deflate stream"),
        (deflated(b"{}")[:-1], "expected a whole deflate stream"),
        (deflated(b"{}") + b"\0", "expected one deflate stream, found 1 more bytes"),
        (deflated(b"\xff"), "metadata: expected UTF-8"),
        (deflated(b" " * 2**24), "bytes in the deflate stream, found more"),
    ],
)
def test_metadata_that_cannot_be_unpacked_is_refused(stream: bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(with_stream(stream), tmp_path)


def test_metadata_in_two_places_is_refused(tmp_path: Path) -> None:
    stream = tensor(np.frombuffer(deflated(b"{}"), np.uint8))
    data = sealed('{"inputs": []}', {"metadata": stream})
    assert "the metadata in one place, found 'inputs' beside the tensor" in refusal(data, tmp_path)
    assert "expected U8 of one axis, found F32" in refusal(
        sealed("{}", {"metadata": tensor(np.zeros(3, np.float32))}), tmp_path
    )
    assert "expected the key 'blocks'" in refusal(packed_text(b"{}"), tmp_path)


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
