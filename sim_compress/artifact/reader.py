"""File to artifact."""

import os
from pathlib import Path

from sim_compress.artifact.container import ForeignFileError
from sim_compress.artifact.decoder import Artifact, decode
from sim_compress.errors import ArtifactError


def read(path: str | os.PathLike[str]) -> Artifact:
    """Read and check an artifact; the certificate is recomputed from the stored values.

    Raises:
        ArtifactError: there is no such file, or it breaks a rule of docs/format.md.
    """
    file = Path(path)
    try:
        # A pipe or a device has no end to read to.
        if not file.is_file():
            raise ArtifactError(f"{file}: expected an artifact, found {_instead(file)}: check the path")
        data = file.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{file}: cannot be read ({error.strerror}): check the path and its rights"
        ) from error
    try:
        return decode(data)
    except ForeignFileError as error:
        raise ArtifactError(f"{file}: {error}") from error
    except ArtifactError as error:
        raise ArtifactError(f"{file}: {error}. Get an intact copy, or write the file again") from error


def _instead(file: Path) -> str:
    if file.is_dir():
        return "a folder"
    return "something that is not a regular file" if file.exists() else "no such file"
