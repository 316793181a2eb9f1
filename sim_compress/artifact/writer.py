"""Artifact to file: all of it or nothing."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sim_compress.artifact.container import Data
from sim_compress.artifact.decoder import decode
from sim_compress.artifact.fields import JSON
from sim_compress.artifact.layouts import encode
from sim_compress.certificate import Certificate
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import ImplicitModel

# The bytes of a file, or what writes them into it.
Content = Data | Callable[[Path], None]


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
    data = readable(path, model, certificate, provenance)
    replace_files({path: data})
    return len(data)


def readable(
    path: str | os.PathLike[str],
    model: ImplicitModel,
    certificate: Certificate,
    provenance: Mapping[str, JSON],
) -> Data:
    """The bytes of an artifact that is to be written, which every reader takes; errors as for `write`."""
    data = encode(model, certificate, provenance)
    try:
        decode(data)
    except ArtifactError as error:
        raise InputError(f"{os.fspath(path)}: not written, the model breaks the format: {error}") from error
    return data


def replace_files(contents: Mapping[str | os.PathLike[str], Content]) -> None:
    """Write files beside their targets, then rename them all: they come together or not at all.

    A link stays and its target changes. Between two renames a computer may still stop.

    Raises:
        InputError: a target is no regular file, or cannot be written.
    """
    with ExitStack() as stack:
        ready = [(path, *stack.enter_context(_beside(path, data))) for path, data in contents.items()]
        for path, temporary, target in ready:
            with _named(path):
                os.replace(temporary, target)


@contextmanager
def _beside(path: str | os.PathLike[str], content: Content) -> Iterator[tuple[Path, Path]]:
    """A file with the content beside the target, and the target; removed where it was not renamed."""
    with _named(path):
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise InputError(
                f"{target}: expected a file name, found something else there: choose another path"
            )
        temporary = target.with_name(f".sim-compress-{secrets.token_hex(8)}.tmp")
    try:
        with _named(path), open(temporary, "xb") as file:
            if isinstance(content, Data):
                file.write(content)
                file.flush()
            else:
                content(temporary)
            os.fsync(file.fileno())
        yield temporary, target
    finally:
        with _named(path):
            temporary.unlink(missing_ok=True)


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system refuses into an error that names the file."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(
            f"{os.fspath(path)}: cannot be written ({error}): check the folder and its rights"
        ) from error
