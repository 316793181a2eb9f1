"""A loaded model that is called like a function or like an onnxruntime session."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.errors import DataError
from sim_compress.model import ImplicitModel, Input
from sim_compress.model.maps import Array
from sim_compress.runtime.fixed_point import Tolerance, picard
from sim_compress.runtime.kernels import preactivation
from sim_compress.runtime.samples import check_inputs
from sim_compress.runtime.schedule import schedule

# Patches of a convolution are kernel-size times larger than its input: a chunk keeps them in cache reach.
CHUNK = 64


class Session:
    """Evaluates an implicit model on inputs of shape (samples, ...).

    Args:
        model: the implicit model.
        tolerance: when the fixed point of a loop counts as reached.
    """

    def __init__(self, model: ImplicitModel, tolerance: Tolerance | None = None) -> None:
        self.model = model
        self._tolerance = tolerance or Tolerance()
        self._stages = schedule(model)

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
        """Outputs for a batch, output name -> (samples, ...)."""
        checked = check_inputs(self.model.inputs, inputs)
        samples = len(next(iter(checked.values())))
        parts = [
            self._evaluate({name: np.moveaxis(u[i : i + CHUNK], 0, -1) for name, u in checked.items()})
            for i in range(0, max(samples, 1), CHUNK)
        ]
        return {
            name: np.ascontiguousarray(np.concatenate([np.moveaxis(p[name], -1, 0) for p in parts]))
            for name in parts[0]
        }

    def run(self, names: Sequence[str] | None, inputs: Mapping[str, ArrayLike]) -> list[Array]:
        """The call of an onnxruntime session: the named outputs (None: all) in order."""
        outputs = self.predict(inputs)
        unknown = [n for n in names or () if n not in outputs]
        if unknown:
            raise DataError(f"no output {unknown[0]!r}; the model has {', '.join(outputs)}")
        return [outputs[n] for n in (names or outputs)]

    def get_inputs(self) -> tuple[Input, ...]:
        """Name, per-sample shape and dtype of every input."""
        return self.model.inputs

    def _evaluate(self, values: dict[str, Array]) -> dict[str, Array]:
        """Outputs of one chunk, samples on the last axis; states leave when nothing reads them any more."""
        for stage in self._stages:
            if stage.cyclic:
                values |= picard(stage.blocks, values, self._tolerance)
            else:
                values |= {b.name: b.phi(preactivation(b.affine, values)) for b in stage.blocks}
            for name in stage.dead:
                del values[name]
        return {o.name: preactivation(o.affine, values) for o in self.model.outputs}
