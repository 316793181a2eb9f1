"""The folders that compiled code is kept in.

NUMBA_CACHE_DIR where it is set, beside the source, the user's cache folder, a temporary folder of the user's:
the first that can be written. Those before it are read too: what an administrator compiled there serves all.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from numba.core import config
from numba.misc.appdirs import AppDirs

APPLICATION = "sim-compress"
PRIVATE = 0o700


@dataclass(frozen=True)
class Folders:
    """Attributes:
    readable: in the order they are looked through.
    writable: where new code goes; None where there is no such folder.
    instead_of: the first choice where it cannot be written.
    """

    readable: tuple[Path, ...]
    writable: Path | None
    instead_of: str | None = None


@cache
def folders(package: Path) -> Folders:
    """The folders for the compiled code of a package that lies in this folder."""
    given: str = vars(config)["CACHE_DIR"]
    asked = Path(given).absolute() if given else None
    first_choice = f"NUMBA_CACHE_DIR={asked}" if asked else str(package / "__pycache__")
    readable: list[Path] = []
    for tried, (path, private) in enumerate(_candidates(package, asked)):
        usable = _can_be_written(path, private)
        if usable or _may_be_read(path, private):
            readable.append(path)
        if usable:
            return Folders(tuple(readable), path, first_choice if tried else None)
    return Folders(tuple(readable), None, first_choice)


def _candidates(package: Path, asked: Path | None) -> Iterator[tuple[Path, bool]]:
    """Folders in the order they are tried, and whether each has to be the user's alone.

    What is read runs: a folder that somebody else can write must not be read. Beside the source it is as
    safe as the source, and NUMBA_CACHE_DIR is the user's own choice.
    """
    name = f"{package.name}-{hashlib.sha256(str(package).encode()).hexdigest()[:12]}"
    if asked:
        yield asked / name, False
    yield package / "__pycache__", False
    user_cache = Path(AppDirs(APPLICATION, appauthor=False).user_cache_dir)
    # Without HOME and without an entry in the list of users it is a relative "~".
    if user_cache.is_absolute():
        yield user_cache / name, True
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:
        return
    # The working directory is what is left where no temporary folder can be written.
    if temporary != Path.cwd():
        yield temporary / f"{APPLICATION}-{_user()}" / name, True


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else ""


def _can_be_written(path: Path, private: bool) -> bool:
    """Make the folder where it is missing, and see whether a file can be made in it."""
    try:
        if private:
            path.parent.mkdir(PRIVATE, parents=True, exist_ok=True)
            if not _is_own(path.parent):
                return False
        path.mkdir(PRIVATE if private else 0o777, parents=True, exist_ok=True)
        if private and not _is_own(path):
            return False
        tempfile.TemporaryFile(dir=path).close()
    except OSError:
        return False
    return True


def _may_be_read(path: Path, private: bool) -> bool:
    return os.path.isdir(path) and (not private or (_is_own(path.parent) and _is_own(path)))


def _is_own(path: Path) -> bool:
    """Whether it is a folder, no link, of this user, that nobody else can write."""
    if not hasattr(os, "getuid"):
        return os.path.isdir(path)
    try:
        found = path.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
