"""An implicit model as an nn.Module: any device, any floating dtype, gradients to inputs and parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sim_compress.errors import DataError
from sim_compress.model import ImplicitModel, Input, StateBlock, every_use, replaced
from sim_compress.runtime.autograd.fixed_point import fixed_point
from sim_compress.runtime.autograd.inputs import as_tensor, named_inputs
from sim_compress.runtime.autograd.phis import apply_phi, check_phi
from sim_compress.runtime.autograd.rows import Rows, Weight
from sim_compress.runtime.fixed_point import Tolerance
from sim_compress.runtime.schedule import Stage, schedule

Values = dict[str, Tensor]


class ImplicitModule(nn.Module):
    """Evaluates an implicit model on tensors (samples, ...).

    Parameters are the nonzero values of every weight, and the biases; what is zero stays zero in training.
    Blocks that share rows have the same parameters. Their places and all constants are buffers, so that a
    state_dict is the whole model. `names` says which block or output the parameters `rows.N...` belong to.

    Args:
        tolerance: when the fixed point of a loop counts as reached, forwards and backwards.

    Raises:
        UnsupportedError: a phi or map has no torch function.
    """

    unit: Tensor

    def __init__(self, model: ImplicitModel, tolerance: Tolerance) -> None:
        super().__init__()
        self.model, self.tolerance = model, tolerance
        self.names = [name for name, _ in model.affines()]
        for block in model.blocks:
            check_phi(block.phi)
        own, rows = dict(model.affines()), dict[str, Rows]()
        tables = {
            id(t.weight): Weight(t.weight)
            for owner in model.readers
            for t in own[owner].weighted
            if t.weight is not None and model.holders.get(id(t.weight)) == owner
        }
        for name, affine in own.items():
            rows[name] = Rows(name, affine, rows.get(model.owners.get(name, name)), tables)
        self._every_rows = list(rows.values())
        self.rows = nn.ModuleList(self._every_rows)
        self._stages = schedule(model)
        self.register_buffer("unit", torch.ones(()), persistent=False)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Outputs for a batch, empty ones too: a tensor where the model has one output, else name -> tensor.

        Args:
            inputs: tensors or arrays (samples, ...) in the order of the model's inputs, or one dict of them.
                Floating inputs are converted to the module's dtype; arrays come onto its device.
            named: the same by keyword.

        Raises:
            DataError: names, shapes or dtypes do not fit the model's inputs.
            ConvergenceError: a sample did not reach its equilibrium.
        """
        values = self._checked(*inputs, **named)
        for stage in self._stages:
            values |= self._states(stage, values)
            for name in stage.dead:
                del values[name]
        outputs = self._outputs(values)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def everything(self, *inputs: Any, **named: Any) -> Values:
        """Every state and every output by name, (samples, *shape); arguments and errors as for a call."""
        values = self._checked(*inputs, **named)
        found: Values = {}
        for stage in self._stages:
            found |= self._states(stage, {**values, **found})
        return found | self._outputs({**values, **found})

    def to_model(self) -> ImplicitModel:
        """The model with the parameters as they are now, in float32; values that became zero leave."""
        affines = {
            name: rows.affine(a)
            for (name, a), rows in zip(self.model.affines(), self._every_rows, strict=True)
            if self.model.owns(name)
        }
        return replaced(self.model, every_use(self.model, affines))

    def _states(self, stage: Stage, values: Mapping[str, Tensor]) -> Values:
        """States of one stage from the values of its sources."""
        if stage.cyclic:
            return self._equilibrium(stage.blocks, values)
        return {b.name: apply_phi(b.phi, self._z(b.name, values)) for b in stage.blocks}

    def _outputs(self, values: Mapping[str, Tensor]) -> Values:
        return {o.name: self._z(o.name, values) for o in self.model.outputs}

    def rows_of(self, name: str) -> Rows:
        """The rows of a block or output."""
        return self._every_rows[self.names.index(name)]

    def _z(self, name: str, values: Mapping[str, Tensor]) -> Tensor:
        rows = self.rows_of(name)
        return rows(values, rows.dense_weights(self.unit))

    def _equilibrium(self, blocks: Sequence[StateBlock], values: Mapping[str, Tensor]) -> Values:
        """States of a loop from the values of its sources."""
        samples = len(next(iter(values.values())))
        # The backward pass comes when `values` have moved on.
        sources = {t.source: values[t.source] for b in blocks for t in b.affine.terms if t.source in values}
        sizes = [int(np.prod(b.shape)) for b in blocks]
        ready = [(b, rows, rows.dense_weights(self.unit)) for b in blocks for rows in [self.rows_of(b.name)]]

        def split(x: Tensor) -> Values:
            parts = x.split(sizes, 1)
            return {b.name: p.reshape(samples, *b.shape) for b, p in zip(blocks, parts, strict=True)}

        def step(x: Tensor) -> Tensor:
            known = {**sources, **split(x)}
            return torch.cat([apply_phi(b.phi, rows(known, d)).flatten(1) for b, rows, d in ready], 1)

        return split(fixed_point(step, self.unit.new_zeros(samples, sum(sizes)), self.tolerance))

    def _checked(self, *inputs: Any, **named: Any) -> Values:
        """Inputs by name, in the module's dtype where they are floating."""
        expected = self.model.inputs
        given = named_inputs(expected, inputs, named)
        values = {i.name: self._converted(i, as_tensor(i, given[i.name], self.unit.device)) for i in expected}
        # Sizes are symbols where torch.export traces this: they are compared, and neither counted nor hashed.
        first = next(iter(values.values()))
        if any(x.shape[0] != first.shape[0] for x in values.values()):
            raise DataError(
                f"inputs differ in their number of samples: { {n: len(x) for n, x in values.items()} }"
            )
        return values

    def _converted(self, expected: Input, x: Tensor) -> Tensor:
        if x.ndim != 1 + len(expected.shape) or tuple(x.shape[1:]) != expected.shape:
            wanted = ("samples", *expected.shape)
            raise DataError(f"input {expected.name!r}: expected shape {wanted}, got {tuple(x.shape)}")
        if np.dtype(expected.dtype).kind == "f":
            return x.to(self.unit.dtype)
        if x.is_floating_point():
            raise DataError(f"input {expected.name!r}: expected {expected.dtype} numbers, got {x.dtype}")
        return x
