"""Where output goes: results on stdout, progress and messages on stderr."""

from collections.abc import Iterable
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from sim_compress.cli import streams


class _Console(Console):
    """A console that leaves it to the entry point to end the command where nobody reads."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


class _Output(_Console):
    """The console of stdout."""

    def print(self, *objects: Any, **options: Any) -> None:
        with streams.naming_stdout():
            super().print(*objects, **options)


OUT = _Output(highlight=False, emoji=False, markup=False)
ERR = _Console(stderr=True, highlight=False, emoji=False, markup=False)


def plain(text: str) -> None:
    """Text for a machine on stdout, as it is."""
    streams.write(text)


def error(text: str) -> None:
    """Why the command stopped."""
    _message("error: ", "bold red", text)


def warning(text: str) -> None:
    """What makes the result less than it seems."""
    _message("warning: ", "yellow", text)


def last_lines(texts: Iterable[str], *, json: bool) -> None:
    """What must be known before a result is used: behind it, or on stderr where stdout is for a machine."""
    for text in texts:
        if json:
            warning(text)
        else:
            OUT.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)


def note(text: str) -> None:
    """A choice made for the user."""
    _message("note: ", "cyan", text)


def _message(prefix: str, style: str, text: str) -> None:
    # Lines stay whole, so that a path in them can be copied and a script can read them.
    ERR.print(Text.assemble((prefix, style), text), soft_wrap=True)
