"""One call of a task, as bytes in and bytes out: what every engine runs, wherever it runs it.

Tasks and results are pickled even inside one process: memory layout, which decides the path BLAS takes and
so the last bits, is then the same in all engines, and a function cannot change its caller's objects.
"""

import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sim_compress.core.engines.interface import Arrays
from sim_compress.errors import SolverError


@dataclass(frozen=True)
class _Failure:
    """What comes back instead of a result when the function raised."""

    error: Exception


def pack(function: Callable[[Arrays, Any], Any], task: Any) -> bytes:
    """The message that asks for function(shared, task)."""
    return pickle.dumps((function, task), pickle.HIGHEST_PROTOCOL)


def call(shared: Arrays, message: bytes) -> bytes:
    """Answer a message; what the function raises passes through."""
    function, task = pickle.loads(message)
    return pickle.dumps(function(shared, task), pickle.HIGHEST_PROTOCOL)


def call_remotely(shared: Arrays, message: bytes) -> bytes:
    """Answer a message in another process: what the function raises becomes the answer."""
    try:
        return call(shared, message)
    except Exception as error:
        return pickle.dumps(_Failure(_portable(error)), pickle.HIGHEST_PROTOCOL)


def unpack(answer: bytes) -> Any:
    """The result in an answer; raises the error that came instead of one."""
    value = pickle.loads(answer)
    if isinstance(value, _Failure):
        raise value.error
    return value


@contextmanager
def numbered(number: int, count: int) -> Iterator[None]:
    """Note on any error which task it comes from; numbers start at 0 here, at 1 in the note."""
    try:
        yield
    except Exception as error:
        error.add_note(f"This was task {number + 1} of {count}.")
        raise


def _portable(error: Exception) -> Exception:
    """The error with its traceback as a note, in a class that survives the way to another process."""
    error.add_note("In the worker:\n" + "".join(traceback.format_exception(error)).rstrip())
    try:
        same = str(pickle.loads(pickle.dumps(error))) == str(error)
    except Exception:  # a class of its own may refuse in any way it likes
        same = False
    if same:
        return error
    plain = SolverError(f"{type(error).__name__}: {error}")
    for note in error.__notes__:
        plain.add_note(note)
    return plain
