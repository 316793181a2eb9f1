"""Task functions that worker processes can import."""

import os
import signal
import sys
import time
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from sim_compress.core.engines import Arrays, engine
from sim_compress.errors import InputError


def double(_: Arrays, task: int) -> int:
    return 2 * task


def late_first(_: Arrays, task: int) -> int:
    """The first tasks finish last."""
    time.sleep(0.2 if task == 0 else 0.0)
    return task


def linear_algebra(shared: Arrays, task: float) -> list[NDArray[Any]]:
    """Products and factors of sizes at which two threads give other last bits than one."""
    S = shared["S"] * task
    H = S @ S.T
    return [
        H,
        np.array(H.ravel() @ H.ravel()),
        np.linalg.eigh(H).eigenvectors,
        linalg.eigh(H)[1],
        linalg.cholesky(H),
        linalg.solve(H, S),
    ]


def thread_counts(*_: Any) -> list[int]:
    """Threads of numba and of every BLAS that an independent library finds."""
    from threadpoolctl import threadpool_info

    return [
        numba.get_num_threads(),
        *(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"),
    ]


def layouts(shared: Arrays, task: NDArray[Any]) -> list[tuple[Any, ...]]:
    arrays = [task, *(shared[name] for name in sorted(shared))]
    return [(a.flags.c_contiguous, a.flags.f_contiguous, a.tobytes("A")) for a in arrays]


def corner(shared: Arrays, task: int) -> NDArray[Any]:
    """A view of a shared array that is not contiguous."""
    return shared["H"][:task, :task]


def overwrite(shared: Arrays, _: Any) -> None:
    shared["H"][0] = 1.0


def change_task(_: Arrays, task: list[int]) -> int:
    task.append(0)
    return len(task)


def fail_from_two(_: Arrays, task: int) -> int:
    """Task 3 fails at once, task 2 later."""
    if task < 2:
        return task
    time.sleep(0.3 if task == 2 else 0.0)
    raise InputError(f"row {task} is bad")


class OddError(Exception):
    """Cannot be rebuilt from its message, as unpickling tries."""

    def __init__(self, node: str, row: int) -> None:
        super().__init__(f"{node}: row {row}")


def fail_oddly(*_: Any) -> None:
    raise OddError("conv1", 3)


def open_file(*_: Any) -> Any:
    """A result that cannot leave its process."""
    return sys.stdout


def pid(*_: Any) -> int:
    return os.getpid()


def die(_: Arrays, task: int) -> int:
    """Task 1 is killed as the system kills what takes too much memory."""
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def nest(*_: Any) -> None:
    with engine("processes"):
        pass


def never_end(*_: Any) -> None:
    """Say that the task runs, then outlast any test."""
    os.write(1, b"running\n")
    time.sleep(600)
