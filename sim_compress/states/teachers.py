"""Teachers: where baseline states come from.

A network is run by onnxruntime, an implicit model by its own equilibrium.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast, runtime_checkable

from scipy import sparse

from sim_compress import frontend
from sim_compress.artifact import read
from sim_compress.errors import InputError
from sim_compress.frontend import StateTensors
from sim_compress.model import ImplicitModel, Shape, apply_chain, with_own_tables
from sim_compress.model.maps import Array
from sim_compress.runtime import Stage, Tolerance, equilibrium, preactivation, schedule
from sim_compress.states.batches import Values
from sim_compress.states.read_out import Reader, with_outputs

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Reading:
    """What a teacher has on one batch, samples on the last axis.

    Attributes:
        preactivations: block or output name -> z, for those with rows at least.
        states: block name -> x.
    """

    preactivations: Values
    states: Values


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

    def baseline(self, batch: Mapping[str, Array]) -> Reading:
        """Every pre-activation and state for a batch of inputs."""
        ...

    def step(self, names: Sequence[str]) -> Callable[[Mapping[str, Array]], Reading]:
        """A function from the values of their sources to the reading of some blocks or one output."""
        ...

    def outputs(self, batch: Mapping[str, Array]) -> Values:
        """Output name -> values for a batch of inputs."""
        ...

    def plain_outputs(self, batch: Mapping[str, Array]) -> Values:
        """The same, computed another way: what differs is rounding."""
        ...


class NetworkTeacher:
    """An ONNX network: onnxruntime computes every pre-activation that has rows to match it.

    A state is phi of its pre-activation; one without rows follows from the states before it.
    """

    def __init__(self, network: frontend.Teacher) -> None:
        self._network = network
        self.model, self.nodes, self.notes = network.model, network.nodes, network.notes
        self.path, self.size, self.sha256 = network.path, network.size, network.sha256
        self.source = network.source
        self._blocks = {b.name: b for b in network.model.blocks}
        held = {n: t.before for n, t in network.tensors.items() if t.before} | dict(network.outputs)
        self._targets = {n: held[n] for n, affine in self.model.affines() if affine.weighted}

    def __getstate__(self) -> dict[str, Any]:
        """All but onnxruntime's sessions, which a copy makes anew when it needs them."""
        return {n: v for n, v in self.__dict__.items() if n not in ("_everything", "_outputs")}

    def baseline(self, batch: Mapping[str, Array]) -> Reading:
        read = self._everything(batch) if self._targets else {}
        return self._reading(read, batch, [n for n, _ in self.model.affines()])

    def step(self, names: Sequence[str]) -> Callable[[Mapping[str, Array]], Reading]:
        targets = [self._targets[n] for n in names if n in self._targets]
        if not targets:
            return lambda values: self._reading({}, values, names)
        sources = {t.source for n, affine in self.model.affines() if n in names for t in affine.terms}
        cut = {s: self._network.tensors.get(s, StateTensors(None, s)) for s in sorted(sources)}
        reader = Reader(
            self._network.submodel([t.after for t in cut.values()], targets), self._network.weights, targets
        )

        def run(values: Mapping[str, Array]) -> Reading:
            read = reader({t.after: apply_chain(t.maps, values[s]) for s, t in cut.items()})
            return self._reading(read, values, names)

        return run

    def outputs(self, batch: Mapping[str, Array]) -> Values:
        return self._named(self._outputs(batch))

    def plain_outputs(self, batch: Mapping[str, Array]) -> Values:
        """With onnxruntime's optimiser off, which fuses nodes and reorders sums."""
        return self._named(self._reader(optimised=False)(batch))

    @cached_property
    def _everything(self) -> Reader:
        wanted = list(dict.fromkeys(self._targets.values()))
        return Reader(with_outputs(self._network.graph, wanted), self._network.weights, wanted)

    @cached_property
    def _outputs(self) -> Reader:
        return self._reader(optimised=True)

    def _reader(self, optimised: bool) -> Reader:
        tensors = list(dict.fromkeys(self._network.outputs.values()))
        return Reader(self._network.graph, self._network.weights, tensors, optimised)

    def _named(self, read: Values) -> Values:
        return {name: read[tensor] for name, tensor in self._network.outputs.items()}

    def _reading(self, read: Values, values: Mapping[str, Array], names: Sequence[str]) -> Reading:
        """Targets from what was read, states of the named blocks in order of the model."""
        targets = {n: read[self._targets[n]] for n in names if n in self._targets}
        states: Values = {}
        for name in names:
            if block := self._blocks.get(name):
                z = targets[name] if name in targets else preactivation(block.affine, {**values, **states})
                states[name] = block.phi(z)
        return Reading(targets, states)


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

    def baseline(self, batch: Mapping[str, Array]) -> Reading:
        states: Values = {}
        for stage in self._stages:
            states |= settle(stage, {**batch, **states})
        return Reading(self._preactivations(list(self._affines), {**batch, **states}), states)

    def step(self, names: Sequence[str]) -> Callable[[Mapping[str, Array]], Reading]:
        stages = [s for s in self._stages if {b.name for b in s.blocks} & set(names)]

        def run(values: Mapping[str, Array]) -> Reading:
            states: Values = {}
            for stage in stages:
                states |= settle(stage, values)
            return Reading(self._preactivations(names, {**values, **states}), states)

        return run

    def outputs(self, batch: Mapping[str, Array]) -> Values:
        reading = self.baseline(batch)
        return {o.name: reading.preactivations[o.name] for o in self.model.outputs}

    def plain_outputs(self, batch: Mapping[str, Array]) -> Values:
        """There is but one way."""
        return self.outputs(batch)

    def _preactivations(self, names: Sequence[str], values: Mapping[str, Array]) -> Values:
        return {n: preactivation(self._affines[n], values, dense_product) for n in names}


class _Apart:
    """A teacher whose lookups have tables of their own."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher, self.model = teacher, with_own_tables(teacher.model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._teacher, name)


def with_tables_apart(teacher: Teacher) -> Teacher:
    """The teacher, with tables that new rows of its blocks leave as they are."""
    return cast(Teacher, _Apart(teacher)) if teacher.model.readers else teacher


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


def dense_product(weight: sparse.csr_array, features: Array) -> Array:
    """weight @ features by BLAS: on large batches faster than the sparse product above 10 % density."""
    return weight.toarray() @ features


def open_module(module: Any, examples: Mapping[str, Array]) -> Teacher:
    """The teacher in a torch module or ExportedProgram; the module is left as it was.

    Args:
        module: what `frontend.is_module` takes for one.
        examples: input name -> (samples, ...), from which shapes and dtypes are taken.

    Raises:
        InputError: torch cannot export it, or a node has no place in the state model.
    """
    return NetworkTeacher(frontend.load_module(module, examples))


def open_teacher(source: frontend.Source, input_shapes: Mapping[str, Shape] | None = None) -> Teacher:
    """The teacher in a file: an artifact is an implicit model, anything else an ONNX network.

    Args:
        source: a path, whose suffix tells artifacts (.safetensors); the file's bytes; the file opened with
            "rb"; or an onnx.ModelProto, which is left as it is.
        input_shapes: of an ONNX network whose inputs have open sizes, as `frontend.load_teacher` takes them.

    Raises:
        InputError: the file cannot be used as either.
    """
    if not isinstance(source, str | PathLike):
        content = frontend.content_of(source)
        if frontend.is_safetensors(content.data):
            return _implicit(content.data, content.name, input_shapes)
        file = frontend.read_network(content)
        # Its bytes need not be held any longer.
        del content
        return NetworkTeacher(frontend.teacher_of(file, input_shapes or {}))
    path = Path(source)
    if path.suffix == SUFFIX:
        return _implicit(path, path, input_shapes)
    return NetworkTeacher(frontend.load_teacher(path, input_shapes))


def _implicit(source: Path | bytes, name: Path, input_shapes: Mapping[str, Shape] | None) -> ImplicitTeacher:
    """The teacher in an artifact that goes by a name."""
    if input_shapes:
        raise InputError(f"{name}: an artifact's inputs have fixed shapes: leave the input shapes out")
    artifact = read(source)
    data = source.read_bytes() if isinstance(source, Path) else source
    described = artifact.provenance.get("source")
    known = described if isinstance(described, Mapping) else {}
    return ImplicitTeacher(artifact.model, name, artifact.size, hashlib.sha256(data).hexdigest(), known)
