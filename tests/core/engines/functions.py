"""Task functions that worker processes can import."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from threadpoolctl import threadpool_info

from sim_compress.core.engines import Arrays, Shared
from sim_compress.errors import InputError


class Scaled(NamedTuple):
    """Shared arrays and a factor for them."""

    arrays: Shared[Arrays]
    factor: float


def double(task: int) -> int:
    return 2 * task


def late_first(task: int) -> int:
    """The first tasks finish last."""
    time.sleep(0.2 if task == 0 else 0.0)
    return task


def scaled(task: Scaled) -> Arrays:
    return {name: array * task.factor for name, array in task.arrays.value.items()}


def scaled_to_keep(task: Scaled) -> tuple[float, Arrays]:
    """The factor, and arrays for later tasks."""
    return task.factor, scaled(task)


def layouts(_: Any) -> tuple[None, Arrays]:
    """Arrays in several orders."""
    block = np.arange(120.0).reshape(2, 3, 4, 5)
    return None, {
        "C": block,
        "Fortran": np.asfortranarray(block),
        "samples first": np.moveaxis(np.ascontiguousarray(np.moveaxis(block, -1, 0)), 0, -1),
        "mixed": block.transpose(1, 0, 3, 2),
        "unit axes and gaps": block[:, :1, :, :1],
        "gaps": block[:, ::2, :, ::3],
        "integers": np.arange(6, dtype=np.int64).reshape(3, 2).T,
        "scalar": np.array(2.5),
        "empty": np.zeros((3, 0, 2)),
    }


def linear_algebra(task: Scaled) -> list[NDArray[Any]]:
    """Products and factors of sizes at which two threads give other last bits than one."""
    S = task.arrays.value["S"] * task.factor
    H = S @ S.T
    return [
        H,
        np.array(H.ravel() @ H.ravel()),
        np.linalg.eigh(H).eigenvectors,
        linalg.eigh(H)[1],
        linalg.cholesky(H),
        linalg.solve(H, S),
    ]


def thread_counts(_: Any) -> list[int]:
    """Threads of numba and of every BLAS that an independent library finds."""
    found = (library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
    return [numba.get_num_threads(), *found]


def overwrite(shared: Shared[Arrays]) -> None:
    shared.value["H"][0] = 1.0


def fail_from_two(task: int) -> int:
    """Task 3 fails at once, task 2 later."""
    if task < 2:
        return task
    time.sleep(0.3 if task == 2 else 0.0)
    raise InputError(f"row {task} is bad")


def open_file(_: Any) -> Any:
    """A result that cannot leave its process."""
    return sys.stdout


def pid(_: Any) -> int:
    time.sleep(0.1)
    return os.getpid()


def die(task: int) -> int:
    """Task 1 is killed as the system kills what takes too much memory."""
    if task == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def die_once(seen: Path) -> int:
    """Whoever comes first is killed."""
    try:
        seen.touch(exist_ok=False)
    except FileExistsError:
        return 1
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def slow(task: int) -> int:
    time.sleep(0.5)
    return 3 * task


def interval(_: Any) -> tuple[float, float]:
    """When it began and ended, on a clock that all processes of a machine share."""
    began = time.monotonic()
    time.sleep(0.2)
    return began, time.monotonic()


def never_end(_: Any) -> None:
    """Say that the task runs, then outlast any test."""
    os.write(1, b"running\n")
    time.sleep(600)
