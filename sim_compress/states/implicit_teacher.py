"""An implicit model as a teacher: its states are those of its equilibrium."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import sparse

from sim_compress.model import Affine, ImplicitModel, weight_shape
from sim_compress.model.maps import Array
from sim_compress.runtime import Stage, Tolerance, equilibrium, preactivation, schedule
from sim_compress.states.batches import Values
from sim_compress.states.teachers import Outputs, Reading, Step


class ImplicitTeacher:
    """An implicit model, with loops or without; states come from its equilibrium (Algorithm 1, lines 5-8)."""

    def __init__(
        self,
        model: ImplicitModel,
        path: Path,
        size: int,
        sha256: str,
        source: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.model, self.source = model, source
        self.nodes: Mapping[str, tuple[str, ...]] = {}
        self.notes: tuple[str, ...] = ()
        self.path, self.size, self.sha256 = path, size, sha256
        self._affines = dict(model.affines())
        self._stages = schedule(model)

    @property
    def whole(self) -> Step:
        return _ImplicitStep(self._stages, self._affines)

    def step(self, names: Sequence[str]) -> Step:
        stages = tuple(s for s in self._stages if {b.name for b in s.blocks} & set(names))
        return _ImplicitStep(stages, {n: self._affines[n] for n in names})

    @property
    def outputs(self) -> Outputs:
        return _ImplicitOutputs(self.whole, tuple(o.name for o in self.model.outputs))

    def plain_outputs(self, batch: Mapping[str, Array]) -> Values:
        """There is but one way."""
        return self.outputs(batch)


@dataclass(frozen=True, eq=False)
class _ImplicitStep:
    """States of some stages, and the pre-activations of some blocks or outputs at them."""

    stages: Sequence[Stage]
    affines: Mapping[str, Affine]

    def __call__(self, values: Mapping[str, Array], /) -> Reading:
        states: Values = {}
        for stage in self.stages:
            states |= settle(stage, {**values, **states})
        known = {**values, **states}
        return Reading({n: preactivation(a, known, dense_product) for n, a in self.affines.items()}, states)


@dataclass(frozen=True, eq=False)
class _ImplicitOutputs:
    """Outputs at the equilibrium."""

    step: Step
    names: tuple[str, ...]

    def __call__(self, batch: Mapping[str, Array], /) -> Values:
        found = self.step(batch).preactivations
        return {name: found[name] for name in self.names}


def settle(stage: Stage, values: Mapping[str, Array]) -> Values:
    """States of one stage from the values of its sources: evaluated once, or iterated where it is a loop.

    Raises:
        ConvergenceError: a sample did not reach its equilibrium.
    """
    if stage.cyclic:
        states, convergence = equilibrium(stage, values, Tolerance())
        convergence.check(Tolerance())
        return states
    return {b.name: b.phi(preactivation(b.affine, values, dense_product)) for b in stage.blocks}


def dense_product(weight: sparse.csr_array, features: Array, groups: int) -> Array:
    """weight @ features by BLAS: on large batches faster than the sparse product above 10 % density.

    Each group of rows meets its own features alone.
    """
    if groups == 1:
        return weight.toarray() @ features
    return (_own_columns(weight, groups) @ features.reshape(groups, -1, features.shape[1])).reshape(
        weight_shape(weight)[0], -1
    )


def _own_columns(weight: sparse.csr_array, groups: int) -> Array:
    """A grouped weight, dense, without the features of other groups: (groups, rows, features of a group)."""
    rows, features = weight_shape(weight)
    rows, features = rows // groups, features // groups
    entries = weight.tocoo()
    dense = np.zeros((groups, rows, features), weight.dtype)
    dense[entries.row // rows, entries.row % rows, entries.col % features] = entries.data
    return dense
