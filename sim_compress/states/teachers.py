"""What a teacher gives: pre-activations and states, all of them or block by block.

onnxruntime runs a network (`network_teacher`), its equilibrium is an implicit model's (`implicit_teacher`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.states.batches import Values


@dataclass(frozen=True)
class Reading:
    """What a teacher has on one batch, samples on the last axis.

    Attributes:
        preactivations: block or output name -> z, for those with rows at least.
        states: block name -> x.
    """

    preactivations: Values
    states: Values


class Step(Protocol):
    """A function from values to what a teacher has on them; it can be pickled."""

    def __call__(self, values: Mapping[str, Array], /) -> Reading:
        """Values and reading have samples on the last axis."""
        ...


class Outputs(Protocol):
    """A function from a batch of inputs to the outputs by name; samples are on the last axis."""

    def __call__(self, batch: Mapping[str, Array], /) -> Values: ...


@runtime_checkable
class Teacher(Protocol):
    """A pretrained network, explicit or implicit, that gives its states block by block."""

    @property
    def model(self) -> ImplicitModel:
        """Its exact implicit model."""
        ...

    @property
    def nodes(self) -> Mapping[str, tuple[str, ...]]:
        """Block or output name -> names of the network's nodes whose parameters it holds."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was made of the file that its user should know."""
        ...

    @property
    def path(self) -> Path:
        """The file it came from."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the file."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the file."""
        ...

    @property
    def source(self) -> Mapping[str, Any]:
        """What the ONNX file that it came from says of itself; empty where none is known."""
        ...

    @property
    def whole(self) -> Step:
        """Every pre-activation and state from a batch of inputs."""
        ...

    def step(self, names: Sequence[str]) -> Step:
        """The reading of some blocks or one output from the values of their sources."""
        ...

    @property
    def outputs(self) -> Outputs:
        """Output name -> values for a batch of inputs; it can be pickled."""
        ...

    def plain_outputs(self, batch: Mapping[str, Array]) -> Values:
        """The same, computed another way: what differs is rounding."""
        ...
