"""A loaded model that is called like a function or like an onnxruntime session."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from sim_compress.errors import DataError, InputError
from sim_compress.forks import renewed
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime.fixed_point import Convergence, Tolerance
from sim_compress.runtime.kernel import Evaluator, chosen_kernel, chosen_threads, make_evaluator
from sim_compress.runtime.node_arg import NodeArg, node_arg
from sim_compress.runtime.samples import check_inputs, id_ranges
from sim_compress.runtime.step_time import StepTime
from sim_compress.runtime.torch_module import torch_module

if TYPE_CHECKING:
    from sim_compress.runtime.autograd.module import ImplicitModule


@dataclass(frozen=True, eq=False)
class Solution:
    """Outputs with how each sample came to its equilibrium.

    Attributes:
        outputs: output name -> (samples, ...).
        convergence: None where A has no loops and there is nothing to iterate; samples that are not
            converged have the outputs of their last iterate.
    """

    outputs: dict[str, Array]
    convergence: Convergence | None


class Session:
    """Evaluates an implicit model on inputs of shape (samples, ...); several threads may share it.

    Args:
        model: the implicit model.
        tolerance: when the fixed point of a loop counts as reached.
        kernel: "numba" (compiled, the default where numba is installed) or "scipy" (the reference).
        threads: threads of the numba kernel; by default one for each processor. With 1 none is started.

    Attributes:
        kernel: the kernel in use.
        tolerance: when the fixed point of a loop counts as reached.

    Raises:
        InputError: kernel or threads cannot be had.
    """

    def __init__(
        self,
        model: ImplicitModel,
        tolerance: Tolerance | None = None,
        kernel: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.kernel = chosen_kernel(kernel)
        self.threads = chosen_threads(threads)
        self.tolerance = tolerance or Tolerance()
        self._ids = id_ranges(model)
        # Real numbers enter the maps in float32.
        self._converted = [i for i in model.inputs if i.dtype in ("float16", "float64")]
        self._asked = tolerance, kernel, threads
        self._made: Evaluator | None = None
        self.after_fork()
        renewed(self)

    def after_fork(self) -> None:
        """Take a new lock: in a child another thread may have held the old one for ever."""
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Session"], tuple[Any, ...]]:
        """Copies and pickles are the model with what was asked for; everything else is made again."""
        return type(self), (self.model, *self._asked)

    def __call__(self, inputs: ArrayLike | Mapping[str, ArrayLike]) -> Any:
        """Outputs for a batch: one array where the model has one output, else name -> array.

        Args:
            inputs: name -> array of shape (samples, ...), or the array alone where there is one input.

        Raises:
            DataError: names, shapes or dtypes do not fit the model's inputs.
            ConvergenceError: a sample did not reach its equilibrium.
        """
        outputs = self.predict(inputs)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def predict(self, inputs: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Array]:
        """Outputs for a batch, output name -> (samples, ...); raises as a call does."""
        outputs, convergence = self._evaluated(inputs)
        if convergence is not None:
            convergence.check(self.tolerance)
        return outputs

    def solve(self, inputs: ArrayLike | Mapping[str, ArrayLike]) -> Solution:
        """Outputs with residuals and iteration counts; samples that did not converge are marked, not refused.

        Raises:
            DataError: names, shapes or dtypes do not fit the model's inputs.
        """
        return Solution(*self._evaluated(inputs))

    def run(self, names: Sequence[str] | None, inputs: Mapping[str, ArrayLike]) -> list[Array]:
        """The call of an onnxruntime session: the named outputs (None: all) in order."""
        outputs = self.predict(inputs)
        unknown = [n for n in names or () if n not in outputs]
        if unknown:
            raise DataError(f"no output {unknown[0]!r}; the model has {', '.join(outputs)}")
        return [outputs[n] for n in (names or outputs)]

    def profile(self, inputs: ArrayLike | Mapping[str, ArrayLike], rounds: int = 20) -> tuple[StepTime, ...]:
        """What every block costs on the first chunk of a batch, on one thread.

        Raises:
            DataError: names, shapes or dtypes do not fit the model's inputs, or there are no samples.
        """
        arrays = self._arrays(inputs)
        if not len(next(iter(arrays.values()))):
            raise DataError("expected at least one sample to time, got none")
        return (self._made or self._evaluator()).profile(arrays, rounds)

    def get_inputs(self) -> list[NodeArg]:
        """Name, shape and type of every input, as onnxruntime gives them."""
        return [node_arg(i) for i in self.model.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """Name, shape and type of every output, as onnxruntime gives them."""
        return [node_arg(o) for o in self.model.outputs]

    def to_torch(self) -> "ImplicitModule":
        """The model as a torch.nn.Module with this session's tolerance: devices, dtypes and gradients.

        Raises:
            MissingExtraError: torch is not installed.
            UnsupportedError: a phi or map has no torch function.
        """
        return torch_module(self.model, self.tolerance, "to_torch()")

    def _evaluated(
        self, inputs: ArrayLike | Mapping[str, ArrayLike]
    ) -> tuple[dict[str, Array], Convergence | None]:
        arrays = self._arrays(inputs)
        try:
            return (self._made or self._evaluator()).evaluate(arrays)
        except MemoryError as error:
            samples = len(next(iter(arrays.values())))
            raise InputError(
                f"not enough memory for {samples} samples with kernel={self.kernel!r}: give fewer at a time, "
                "or use kernel='scipy', which takes the least"
            ) from error

    def _arrays(self, inputs: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Array]:
        """Inputs as an evaluator takes them."""
        arrays = check_inputs(self.model.inputs, inputs)
        for ids in self._ids:
            ids.check(arrays)
        if self._converted:
            arrays = arrays | {i.name: i.values(arrays[i.name]) for i in self._converted}
        return arrays

    def _evaluator(self) -> Evaluator:
        """Made at the first call, so that loading a model stays quick."""
        with self._lock:
            if self._made is None:
                self._made = make_evaluator(self.model, self.kernel, self.threads, self.tolerance)
            return self._made
