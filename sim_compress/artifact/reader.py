"""File to artifact."""

import os
from pathlib import Path
from typing import IO

from sim_compress.artifact.container import Data, ForeignFileError, opened_file
from sim_compress.artifact.decoder import Artifact, decode
from sim_compress.errors import ArtifactError

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]


def read(source: Source) -> Artifact:
    """Read and check an artifact; the certificate is recomputed from the stored values.

    Args:
        source: a path, the bytes of the file, or the file opened with "rb", from where it stands.

    Raises:
        ArtifactError: there is no such file, or it breaks a rule of docs/format.md.
    """
    name, data = _content(source)
    try:
        return decode(data)
    except ForeignFileError as error:
        raise ArtifactError(f"{name}: {error}") from error
    except ArtifactError as error:
        raise _damaged(name, error) from error


def _content(source: Source) -> tuple[str, Data]:
    """What an artifact is called in messages, and its bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        return f"artifact of {memoryview(source).nbytes} bytes", bytes(source)
    located = isinstance(source, str | os.PathLike)
    named = os.fsdecode(source) if located else getattr(source, "name", None)
    name = named if isinstance(named, str) else type(source).__name__
    try:
        data = _file_content(Path(name)) if located else _rest(source)
    # A file that is closed or open for writing raises one or both.
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ArtifactError(f"{name}: cannot be read ({reason}): check the path and its rights") from error
    if not isinstance(data, Data):
        found = "a file opened as text" if isinstance(data, str) else type(source).__name__
        raise ArtifactError(f"expected a path, bytes or a file opened with 'rb', got {found}")
    return name, data


def _rest(file: object) -> object:
    """What an open file gives; None for anything else."""
    read_on = getattr(file, "read", None)
    return read_on() if read_on else None


def _file_content(file: Path) -> Data:
    # A pipe or a device has no end to read to.
    if not file.is_file():
        raise ArtifactError(f"{file}: expected an artifact, found {_instead(file)}: check the path")
    try:
        return opened_file(file)
    except ArtifactError as error:
        raise _damaged(str(file), error) from error


def _damaged(name: str, error: ArtifactError) -> ArtifactError:
    return ArtifactError(f"{name}: {error}. Get an intact copy, or write the file again")


def _instead(file: Path) -> str:
    if file.is_dir():
        return "a folder"
    return "something that is not a regular file" if file.exists() else "no such file"
