"""What can go wrong with stdout: characters it lacks, readers that have gone, disks that are full."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def replace_unknown() -> None:
    """Characters that a stream's encoding lacks, as those of a file's name, become question marks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")


def write(text: str) -> None:
    """Text to stdout, which a caller may have closed."""
    with naming_stdout():
        if sys.stdout is not None:
            sys.stdout.write(text)


def flush() -> None:
    """Everything to where stdout goes, while what goes wrong can still be told."""
    with naming_stdout():
        if sys.stdout is not None:
            sys.stdout.flush()


@contextmanager
def naming_stdout() -> Iterator[None]:
    """Give an OSError of stdout its name, as of a full disk behind it; a broken pipe stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon(sys.stdout)
        raise OSError(error.errno, error.strerror, "stdout") from error


def abandon(stream: TextIO | None) -> None:
    """Send the rest of a stream nowhere: the interpreter would try once more at its end, and complain."""
    if stream is None:
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
    except (OSError, ValueError):
        # It has no descriptor, so nothing is written at the end.
        return
