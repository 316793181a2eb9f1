"""Where the artifact goes, checked before any work is done."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from sim_compress.errors import InputError

SUFFIX = ".sim.safetensors"


def stem(model: Path) -> str:
    """Name of a network without its suffix, be it .onnx or that of an artifact."""
    return model.name.removesuffix(SUFFIX) if model.name.endswith(SUFFIX) else model.stem


def output_path(named: Path | None, model: Path, suffix: str = SUFFIX) -> Path:
    """The file named, else STEM with the suffix in the current folder.

    Raises:
        InputError: what is named is no file, as ".".
    """
    if named is not None and not named.name:
        raise InputError(f"--output {named}: is a folder: give the name of a file in it")
    return named or Path(stem(model) + suffix)


def base(output: Path) -> Path:
    """A file to write without the suffix of an artifact: what other files beside it are named after."""
    name = output.name.removesuffix(".safetensors")
    return output.parent / name.removesuffix(".sim")


def check_output(targets: Sequence[Path], sources: Sequence[Path]) -> None:
    """Refuse files of one folder that could not be written.

    Args:
        targets: the files, the one that the user may name first.
        sources: files that are read.

    Raises:
        InputError: the folder is missing or not writable, a folder is in the way, or a source would be
            overwritten.
    """
    path, folder = targets[0], targets[0].parent
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}: make it, or choose another --output")
    try:
        # Rights alone do not tell of a read-only or special file system.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{path}: the folder {folder} is not writable ({error.strerror}): choose another --output"
        ) from error
    for target in targets:
        check_target(target, sources)


def check_target(target: Path, sources: Sequence[Path]) -> None:
    """Refuse a file to write that is something else, or one of the files that are read.

    Raises:
        InputError: it is.
    """
    if target.exists() and not target.is_file():
        raise InputError(f"{target}: is not a regular file: choose another --output")
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise InputError(f"{target}: would overwrite {source}, which is read: choose another --output")
