"""The entry point: every outcome as an exit code, every error as one line.

0 done, 2 bad input, 130 Ctrl-C, 143 terminated, 129 terminal closed, 141 where the reader of a pipe has gone,
as for other Unix tools. 1 is kept for a check that the user asked for and that failed.
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

from sim_compress.cli import streams
from sim_compress.cli.arguments import parse
from sim_compress.errors import SimCompressError

BAD_INPUT = 2
SIGNALLED = 128
# Windows has no such signal; its number is the same everywhere else.
SIGPIPE = 13
ENDINGS = ("SIGTERM", "SIGHUP")


class _Notes(logging.Handler):
    """Shows what the library logs, as what it compiles."""

    def emit(self, record: logging.LogRecord) -> None:
        # rich is imported for those alone who have something to say.
        from sim_compress.cli.console import note

        note(record.getMessage())


class _Terminated(KeyboardInterrupt):
    """SIGTERM, or the end of the terminal, unwound like Ctrl-C so that temporary files go."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; prints, never raises for a user's mistake."""
    started = time.perf_counter()
    streams.replace_unknown()
    try:
        with _terminable(), _logged():
            code = _run(sys.argv[1:] if argv is None else argv, started)
            streams.flush()
            return code
    except _Terminated as ended:
        return _refuse("terminated", SIGNALLED + ended.number)
    except KeyboardInterrupt:
        return _refuse("interrupted", SIGNALLED + signal.SIGINT)
    except SimCompressError as error:
        return _refuse(str(error), BAD_INPUT)
    except MemoryError:
        return _refuse("out of memory: give more of it, fewer calibration inputs or smaller ones", BAD_INPUT)
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            streams.abandon(stream)
        return SIGNALLED + SIGPIPE
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error), BAD_INPUT)


def _run(argv: Sequence[str], started: float) -> int:
    """The command's own exit code."""
    try:
        arguments = parse(argv)
    except SystemExit as printed:
        return int(printed.code or 0)
    arguments.started = started
    # Commands import onnxruntime and numba; --help must not wait for them.
    return import_module(f"sim_compress.cli.{arguments.command}").run(arguments)


def _refuse(text: str, code: int) -> int:
    from sim_compress.cli.console import error

    try:
        error(text)
    except OSError:
        # Where stderr cannot be written, the exit code still tells.
        streams.abandon(sys.stderr)
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
    """Turn SIGTERM and SIGHUP into an exception; only a main thread may, and nohup has the last word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = (getattr(signal, name, None) for name in ENDINGS)
    before = {n: signal.getsignal(n) for n in known if n and signal.getsignal(n) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise _Terminated(number)
