"""What an artifact is read from: a path of any kind, bytes, an open file."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim_compress
from sim_compress.artifact import read
from sim_compress.errors import ArtifactError

from .crafting import encoded
from .models import feedforward_model


class Located:
    """A path of another library."""

    def __init__(self, path: str | bytes) -> None:
        self._path = path

    def __fspath__(self) -> Any:
        return self._path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.sim.safetensors"
    path.write_bytes(encoded(feedforward_model()))
    return path


def nnz(source: Any) -> int:
    return read(source).model.nnz


def test_a_path_may_be_text_or_anything_that_gives_one(file: Path) -> None:
    expected = feedforward_model().nnz
    assert [nnz(p) for p in (str(file), file, Located(str(file)), Located(bytes(file)))] == [expected] * 4


def test_bytes_and_open_files_are_read(file: Path, tmp_path: Path) -> None:
    data, expected = file.read_bytes(), feedforward_model().nnz
    assert [nnz(kind(data)) for kind in (bytes, bytearray, memoryview, io.BytesIO)] == [expected] * 4
    with file.open("rb") as stream:
        assert nnz(stream) == expected
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("m", data)
    with zipfile.ZipFile(tmp_path / "z.zip") as archive, archive.open("m") as member:
        assert nnz(member) == expected


def test_a_loaded_model_is_the_same_from_each(file: Path) -> None:
    with file.open("rb") as stream:
        sources = file, file.read_bytes(), stream
        sessions = [sim_compress.load(source, kernel="scipy") for source in sources]
    u = {i.name: np.ones((2, *i.shape), i.dtype) for i in sessions[0].model.inputs}
    first, *others = (s.predict(u) for s in sessions)
    for outputs in others:
        for name in first:
            np.testing.assert_array_equal(outputs[name], first[name])


def test_damage_is_named_with_where_it_came_from(file: Path) -> None:
    data = file.read_bytes()[:-1]
    with pytest.raises(ArtifactError, match=f"^artifact of {len(data)} bytes: expected a whole safetensors"):
        read(data)
    with pytest.raises(ArtifactError, match=r"^BytesIO: expected a whole safetensors"):
        read(io.BytesIO(data))
    file.write_bytes(data)
    with (
        file.open("rb") as stream,
        pytest.raises(ArtifactError, match=r"m\.sim\.safetensors: expected a whole safetensors"),
    ):
        read(stream)


@pytest.mark.parametrize("source", [None, 3, ["m.safetensors"], np.zeros(3), {"a": 1}, object()])
def test_other_things_are_refused_in_one_line(source: Any) -> None:
    with pytest.raises(ArtifactError, match=r"^expected a path, bytes or a file opened with 'rb', got \w+$"):
        read(source)


def test_files_that_give_no_bytes_are_refused_in_one_line(file: Path) -> None:
    with file.open(encoding="latin-1") as text, pytest.raises(ArtifactError, match="opened as text"):
        read(text)  # type: ignore[arg-type]
    with file.open("rb") as stream:
        pass
    with pytest.raises(ArtifactError, match=r"cannot be read .*closed file"):
        read(stream)
    new = file.parent / "new"
    with new.open("wb") as writing, pytest.raises(ArtifactError, match="new: cannot be read"):
        read(writing)
    with pytest.raises(ArtifactError, match="found no such file"):
        read("a\0b")
