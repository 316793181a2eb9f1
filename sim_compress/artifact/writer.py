"""Artifact to file: all of it or nothing."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from sim_compress.artifact.decoder import decode
from sim_compress.artifact.fields import JSON
from sim_compress.artifact.layouts import encode
from sim_compress.certificate import Certificate
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import ImplicitModel


def write(
    path: str | os.PathLike[str],
    model: ImplicitModel,
    certificate: Certificate,
    provenance: Mapping[str, JSON],
) -> int:
    """Write an artifact and give its size in bytes; an existing file is replaced whole or left as it is.

    Raises:
        CertificateError: the certificate does not hold for the model.
        InputError: the model has no place in the format, or the file cannot be written.
    """
    data = encode(model, certificate, provenance)
    try:
        decode(data)
    except ArtifactError as error:
        raise InputError(f"{os.fspath(path)}: not written, the model breaks the format: {error}") from error
    replace_file(path, data)
    return len(data)


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Put the bytes into a file beside the target, then rename it; a link stays and its target changes.

    Raises:
        InputError: the target is no regular file, or cannot be written.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise InputError(
                f"{target}: expected a file name, found something else there: choose another path"
            )
        temporary = target.with_name(f".sim-compress-{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{os.fspath(path)}: cannot be written ({error}): check the folder and its rights"
        ) from error
