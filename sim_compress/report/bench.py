"""How fast a session is beside onnxruntime on the dense network: the same inputs, threads and moments."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from sim_compress.errors import DataError, ModelFileError
from sim_compress.frontend.quiet import FATAL, RUNTIME_ERRORS, first_line
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime import Session

WARM_UP = 3
# One measurement repeats a call for at least so many seconds: the clock and its own cost disappear.
SHORTEST = 5e-3
# Before a turn: threads of the other runtime wait busily for a while after their last call.
REST = 0.05


@dataclass(frozen=True)
class Speed:
    """Seconds of one call at one batch size, every round both runtimes in turn.

    Attributes:
        ours, theirs: median seconds of a call.
        ratio: median over rounds of theirs / ours in the same round; above 1 we are faster.
        low, high: quartiles of that ratio.
    """

    batch: int
    threads: int
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float

    @property
    def slower(self) -> bool:
        """Whether the dense network is the faster one."""
        return self.ratio < 1

    @property
    def throughput(self) -> tuple[float, float]:
        """Samples a second: ours, theirs."""
        return self.batch / self.ours, self.batch / self.theirs


def _in_file(values: Array, axes: Sequence[int | str | None]) -> Array:
    """Samples (samples, ...) as a file has them: on its open axis or its first one, one alone without."""
    if len(values) == 1 and values.ndim == len(axes) + 1:
        return values[0]
    opened = next((i for i, size in enumerate(axes) if not isinstance(size, int)), 0)
    return np.moveaxis(values, 0, opened) if opened < values.ndim else values


class DenseRuntime:
    """onnxruntime on a network with so many threads, called like a session.

    Raises:
        ModelFileError: there is no such file, or onnxruntime refuses the network.
    """

    def __init__(self, network: Path, threads: int) -> None:
        if not network.is_file():
            raise ModelFileError(f"{network}: is not a file: check the path")
        self._network = network
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(network), options, ["CPUExecutionProvider"])
        except RUNTIME_ERRORS as error:
            raise ModelFileError(
                f"{network}: onnxruntime refuses the network: {first_line(error)}"
            ) from error

    def fixed_batch(self, model: ImplicitModel) -> int | None:
        """The one batch size that the file takes, None where it takes any.

        Args:
            model: made of the network; where all axes of the file are those of one sample, it is 1.
        """
        own = {i.name: i.shape for i in model.inputs}
        for given in self._session.get_inputs():
            if len(given.shape) == len(own.get(given.name, ())):
                return 1
            if given.shape and all(isinstance(size, int) for size in given.shape):
                return given.shape[0]
        return None

    def __call__(self, inputs: Mapping[str, Array]) -> object:
        """All outputs; a sample alone has no axis of samples where the file has none.

        Raises:
            DataError: the network takes other inputs or another batch size.
        """
        axes = {given.name: given.shape for given in self._session.get_inputs()}
        given = {n: _in_file(u, axes.get(n, ["N"])) for n, u in inputs.items()}
        try:
            return self._session.run(None, given)
        except RUNTIME_ERRORS as error:
            shapes = {name: array.shape for name, array in inputs.items()}
            raise DataError(
                f"{self._network}: onnxruntime refuses inputs of shapes {shapes}: {first_line(error)}; "
                "give the network the artifact came from, and a batch size it takes"
            ) from error


def measure_speed(
    session: Session,
    dense: Callable[[Mapping[str, Array]], object],
    inputs: Mapping[str, Array],
    rounds: int = 30,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Time both on the same inputs, in turn, so that other jobs of the machine disturb both alike.

    Args:
        dense: a DenseRuntime, or any other engine that takes inputs by name.
        clock: seconds; time.thread_time counts what one thread works, however busy the machine is.

    Raises:
        DataError: one of them does not take the inputs.
    """
    calls: tuple[Callable[[], object], ...] = (lambda: session.predict(inputs), lambda: dense(inputs))
    repeats = [_repeats(call, clock) for call in calls]
    times = np.empty((rounds, 2))
    for i in range(rounds):
        for j, (call, count) in enumerate(zip(calls, repeats, strict=True)):
            time.sleep(REST)
            # The first calls after a rest find cold caches and a sleeping processor.
            _seconds(call, count, clock)
            times[i, j] = _seconds(call, count, clock)
    ratios = times[:, 1] / times[:, 0]
    ours, theirs = np.median(times, axis=0)
    low, ratio, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    batch = len(next(iter(inputs.values())))
    return Speed(batch, session.threads, *map(float, (ours, theirs, ratio, low, high)))


def made_up_inputs(model: ImplicitModel, batch: int) -> dict[str, Array]:
    """Inputs for timing: uniform in [0, 2); integers are 0 or 1."""
    rng = np.random.default_rng(0)
    return {i.name: (2 * rng.random((batch, *i.shape))).astype(i.dtype) for i in model.inputs}


def _repeats(call: Callable[[], object], clock: Callable[[], float]) -> int:
    """Calls that fill one measurement."""
    for _ in range(WARM_UP):
        call()
    return max(1, round(SHORTEST / _seconds(call, WARM_UP, clock)))


def _seconds(call: Callable[[], object], count: int, clock: Callable[[], float]) -> float:
    """Mean seconds of a call over so many in a row."""
    began = clock()
    for _ in range(count):
        call()
    return (clock() - began) / count
