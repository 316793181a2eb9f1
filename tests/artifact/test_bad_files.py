"""What is not an artifact at all is refused."""

import json
import os
from pathlib import Path

import pytest

from sim_compress.artifact import read
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
