"""Keeps what the package logs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sim_compress.compilation import messages


class Recorder(logging.Handler):
    """Attributes:
    lines: the messages so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The lines that are logged in this context; what was said before may be said again."""
    recorder, said = Recorder(), set(messages._SAID)
    messages._SAID.clear()
    messages.LOGGER.addHandler(recorder)
    try:
        yield recorder.lines
    finally:
        messages.LOGGER.removeHandler(recorder)
        messages._SAID.update(said)
