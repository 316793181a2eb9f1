"""The parent's hold on one worker process: start it, talk to it, end it, and say how it died."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import send_handle

from sim_compress.core.engines.arrays import Stored
from sim_compress.core.engines.threads import one_thread_for_new_processes
from sim_compress.core.engines.worker import END_OF_JOB, serve
from sim_compress.errors import SolverError

# Seconds that an idle worker gets to leave by itself, and a dying one to give its exit code.
GRACE = 5.0


@dataclass(frozen=True)
class Worker:
    """One worker process and the parent's end of its connection.

    Talking to a worker that has died raises SolverError, which says how it died.
    """

    process: SpawnProcess
    connection: Connection

    def open_job(self, arrays: Stored) -> None:
        """Begin a job and hand over the file of its arrays."""
        with self._alive("when a job began"):
            self.connection.send(arrays.places)
            send_handle(self.connection, arrays.descriptor, self.process.pid)

    def close_job(self) -> None:
        """End a job: the worker lets go of its arrays."""
        with self._alive("when a job ended"):
            self.connection.send_bytes(END_OF_JOB)

    def ask(self, message: bytes, doing: str) -> None:
        """Send a task; `doing` says which, should the worker be dead."""
        with self._alive(doing):
            self.connection.send_bytes(message)

    def answer(self, doing: str) -> bytes:
        """Wait for the answer to the task sent last."""
        with self._alive(doing):
            return self.connection.recv_bytes()

    def dismiss(self) -> None:
        """Tell an idle worker that nothing more will come: it ends by itself."""
        self.connection.close()

    def kill(self) -> None:
        """End the process whatever it does."""
        self.connection.close()
        self.process.kill()

    def bury(self) -> None:
        """Wait until a dismissed or killed process has ended."""
        self.process.join(GRACE)
        self.process.kill()
        self.process.join()
        self.process.close()

    @contextmanager
    def _alive(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self.process.join(GRACE)
            how, advice = _cause(self.process.exitcode)
            raise SolverError(f"worker process {self.process.pid} {how} {doing}: {advice}") from error


@contextmanager
def starting() -> Iterator[None]:
    """Workers started inside have BLAS at one thread and leave Ctrl-C to their parent.

    A blocked signal is inherited, so there is no moment in which a Ctrl-C could reach a new worker.
    """
    # Its start would unblock the signal, so it comes first.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with one_thread_for_new_processes():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start() -> Worker:
    """A new worker process; it imports while the caller goes on."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours)


def _cause(exitcode: int | None) -> tuple[str, str]:
    """How a worker ended, and what to do."""
    if exitcode is None:
        return "closed its connection", "use the serial engine to see why"
    if exitcode == -signal.SIGKILL:
        return "was killed", "systems kill when memory runs out, so use fewer workers or the serial engine"
    if exitcode < 0:
        return f"was ended by {signal.Signals(-exitcode).name}", "use the serial engine to see why"
    return (
        f"ended with exit code {exitcode}",
        "its own message is above; a script that starts workers must do so under if __name__ == '__main__'",
    )
