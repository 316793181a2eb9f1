"""The entry point: every outcome as an exit code, every error as one line.

0 done, 2 bad input, 130 Ctrl-C, 143 terminated. 1 is kept for a check that the user asked for and that
failed.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType

from sim_compress.cli.arguments import parse
from sim_compress.errors import SimCompressError

BAD_INPUT = 2
SIGNALLED = 128


class _Notes(logging.Handler):
    """Shows what the library logs, as what it compiles."""

    def emit(self, record: logging.LogRecord) -> None:
        # rich is imported for those alone who have something to say.
        from sim_compress.cli.console import note

        note(record.getMessage())


class _Terminated(KeyboardInterrupt):
    """SIGTERM, unwound like Ctrl-C so that temporary files go."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; prints, never raises for a user's mistake."""
    started = time.perf_counter()
    try:
        with _terminable(), _logged():
            arguments = parse(sys.argv[1:] if argv is None else argv)
            arguments.started = started
            # Commands import onnxruntime and numba; --help must not wait for them.
            return import_module(f"sim_compress.cli.{arguments.command}").run(arguments)
    except SystemExit as printed:
        return int(printed.code or 0)
    except _Terminated:
        return _refuse("terminated", SIGNALLED + signal.SIGTERM)
    except KeyboardInterrupt:
        return _refuse("interrupted", SIGNALLED + signal.SIGINT)
    except SimCompressError as error:
        return _refuse(str(error), BAD_INPUT)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error), BAD_INPUT)


def _refuse(text: str, code: int) -> int:
    from sim_compress.cli.console import error

    error(text)
    return code


@contextmanager
def _logged() -> Iterator[None]:
    """Show what is logged meanwhile."""
    logger, notes = logging.getLogger("sim_compress"), _Notes()
    logger.addHandler(notes)
    try:
        yield
    finally:
        logger.removeHandler(notes)


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception; only a main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated
