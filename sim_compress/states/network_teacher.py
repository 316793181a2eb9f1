"""An ONNX network as a teacher: onnxruntime reads its tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx

from sim_compress import frontend
from sim_compress.frontend import StateTensors
from sim_compress.model import StateBlock, apply_chain
from sim_compress.model.maps import Array
from sim_compress.runtime import preactivation
from sim_compress.states.batches import Values
from sim_compress.states.read_out import Reader, with_outputs
from sim_compress.states.teachers import Outputs, Reading, Step


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


@dataclass(frozen=True, eq=False)
class _NetworkOutputs:
    """Outputs read by onnxruntime, from the tensors that hold them."""

    reader: Reader
    tensors: Mapping[str, str]

    def __call__(self, batch: Mapping[str, Array], /) -> Values:
        read = self.reader(batch)
        return {name: read[tensor] for name, tensor in self.tensors.items()}
