"""The source of data in every message on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim_compress.errors import DataError


@contextmanager
def naming(source: Path | str) -> Iterator[None]:
    """Put the source of the data before the text of a DataError."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
