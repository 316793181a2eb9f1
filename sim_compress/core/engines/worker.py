"""The life of one worker process: jobs come through its connection, and it ends with its parent."""

import os
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

from sim_compress.core.engines.arrays import opened
from sim_compress.core.engines.calls import call_remotely
from sim_compress.core.engines.threads import one_thread

# The message after a job's last task; no packed task is empty.
END_OF_JOB = b""


def serve(connection: Connection) -> None:
    """Work until the connection closes.

    A job is the places of its shared arrays, the descriptor of the file that holds them, a message for each
    task, answered before the next one is read, and END_OF_JOB.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with one_thread():
        try:
            while True:
                _do_job(connection)
        except (EOFError, ConnectionError):
            return


def _do_job(connection: Connection) -> None:
    places = connection.recv()
    arrays = opened(recv_handle(connection), places)
    while message := connection.recv_bytes():
        connection.send_bytes(call_remotely(arrays, message))


def _end_with_parent() -> None:
    """A parent killed in the middle of a task cannot say so; its worker must not compute on alone."""
    parent = parent_process()
    assert parent is not None, "serve runs in a process started by multiprocessing"
    parent.join()
    os._exit(1)
