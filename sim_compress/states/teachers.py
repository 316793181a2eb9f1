"""Teachers: where baseline states come from.

A network is run by onnxruntime, an implicit model by its own equilibrium.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast, runtime_checkable

import onnx
from scipy import sparse

from sim_compress import frontend
from sim_compress.artifact import read
from sim_compress.errors import InputError
from sim_compress.frontend import StateTensors
from sim_compress.model import Affine, ImplicitModel, Shape, StateBlock, apply_chain, with_own_tables
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
        return {n: v for n, v in self.__dict__.items() if n not in ("_whole", "_outputs")}

    @property
    def whole(self) -> Step:
        return self._whole

    @cached_property
    def _whole(self) -> Step:
        wanted = list(dict.fromkeys(self._targets.values()))
        graph = with_outputs(self._network.graph, wanted)
        cut = {i.name: StateTensors(None, i.name) for i in self.model.inputs}
        return self._step(graph, cut, [n for n, _ in self.model.affines()])

    def step(self, names: Sequence[str]) -> Step:
        targets = [self._targets[n] for n in names if n in self._targets]
        sources = {t.source for n, affine in self.model.affines() if n in names for t in affine.terms}
        cut = {s: self._network.tensors.get(s, StateTensors(None, s)) for s in sorted(sources)}
        graph = self._network.submodel([t.after for t in cut.values()], targets) if targets else None
        return self._step(graph, cut, names)

    def _step(
        self, graph: onnx.ModelProto | None, cut: Mapping[str, StateTensors], names: Sequence[str]
    ) -> Step:
        targets = {n: self._targets[n] for n in names if n in self._targets}
        wanted = list(dict.fromkeys(targets.values()))
        reader = Reader(graph, self._network.weights, wanted) if graph is not None and wanted else None
        return _NetworkStep(reader, cut, targets, {n: self._blocks[n] for n in names if n in self._blocks})

    @cached_property
    def _outputs(self) -> Outputs:
        return _NetworkOutputs(self._reader(optimised=True), self._network.outputs)

    @property
    def outputs(self) -> Outputs:
        return self._outputs

    def plain_outputs(self, batch: Mapping[str, Array]) -> Values:
        """With onnxruntime's optimiser off, which fuses nodes and reorders sums."""
        return _NetworkOutputs(self._reader(optimised=False), self._network.outputs)(batch)

    def _reader(self, optimised: bool) -> Reader:
        tensors = list(dict.fromkeys(self._network.outputs.values()))
        return Reader(self._network.graph, self._network.weights, tensors, optimised)


@dataclass(frozen=True, eq=False)
class _NetworkStep:
    """Targets read by onnxruntime, states of the blocks in their order.

    Attributes:
        reader: None where no target is read.
        cut: source -> where the graph holds it.
        targets: block or output name -> tensor of its pre-activation, for those with rows.
        blocks: whose states are wanted, by name.
    """

    reader: Reader | None
    cut: Mapping[str, StateTensors]
    targets: Mapping[str, str]
    blocks: Mapping[str, StateBlock]

    def __call__(self, values: Mapping[str, Array], /) -> Reading:
        read: Values = {}
        if self.reader:
            read = self.reader({t.after: apply_chain(t.maps, values[s]) for s, t in self.cut.items()})
        targets = {name: read[tensor] for name, tensor in self.targets.items()}
        states: Values = {}
        for name, block in self.blocks.items():
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
class _NetworkOutputs:
    """Outputs read by onnxruntime, from the tensors that hold them."""

    reader: Reader
    tensors: Mapping[str, str]

    def __call__(self, batch: Mapping[str, Array], /) -> Values:
        read = self.reader(batch)
        return {name: read[tensor] for name, tensor in self.tensors.items()}


@dataclass(frozen=True, eq=False)
class _ImplicitOutputs:
    """Outputs at the equilibrium."""

    step: Step
    names: tuple[str, ...]

    def __call__(self, batch: Mapping[str, Array], /) -> Values:
        found = self.step(batch).preactivations
        return {name: found[name] for name in self.names}


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
