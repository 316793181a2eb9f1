"""One graph through the axis pass, and what it says of every tensor against onnxruntime, for several batches.

A graph runs on N random samples in the axes of the file. What it gives for each of them must be what it gives
for that sample alone, at the place where the pass says that the samples are; the two graphs that the pass
writes must give the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.frontend import OPERATORS
from sim_compress.frontend.axes import Placed, Placement, placed
from sim_compress.frontend.axes.numbers import Polynomial, Unknown
from sim_compress.frontend.axes.writer import Writer
from tests.frontend.graphs import IR_VERSION, Arrays, assert_close, run

FLOAT = onnx.TensorProto.FLOAT
BATCHES = (1, 2, 3)
# Operators whose nodes have a batch axis in the file and none in the graph of one sample.
LEADING = frozenset(
    (
        "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "DepthToSpace", "Gemm", "LRN",
        "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "GroupNormalization", "InstanceNormalization",
        "LpPool", "MaxPool", "Resize", "SpaceToDepth", "Upsample",
    )
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Question:
    """A graph of which the axis pass is asked.

    Attributes:
        inputs: where the samples are in them.
        samples: the batch that the file fixes, None where it is open.
        types: element types of inputs that are no floats.
        highest: whole numbers of inputs are below.
    """

    nodes: Sequence[onnx.NodeProto]
    inputs: Mapping[str, Placed]
    constants: Arrays
    outputs: Sequence[str]
    opset: int = 17
    samples: int | None = None
    types: Mapping[str, int] | None = None
    highest: int = 2

    def kind(self, name: str) -> int:
        return (self.types or {}).get(name, FLOAT)

    def model(self, ends: Sequence[str]) -> onnx.ModelProto:
        """The file, with these outputs."""
        infos = [helper.make_tensor_value_info(n, self.kind(n), None) for n in self.inputs]
        return self._model(self.nodes, self.constants, infos, ends)

    def written(self, writer: Writer, ends: Sequence[str]) -> onnx.ModelProto:
        """A graph that the pass wrote."""
        infos = [helper.make_tensor_value_info(n, self.kind(n), None) for n in self.inputs]
        return self._model(writer.nodes, writer.constants, infos, ends)

    def _model(
        self,
        nodes: Sequence[onnx.NodeProto],
        constants: Mapping[str, np.ndarray | onnx.TensorProto],
        infos: Sequence[onnx.ValueInfoProto],
        ends: Sequence[str],
    ) -> onnx.ModelProto:
        stored = [
            numpy_helper.from_array(np.asarray(v), n) if not isinstance(v, onnx.TensorProto) else v
            for n, v in constants.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(n) for n in ends]
        graph = helper.make_graph(list(nodes), "graph", list(infos), outputs, stored)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opsets)

    def answer(self) -> Placement:
        """What the pass finds."""
        rules = {name: o.axes for name, o in OPERATORS.items()}
        types = {name: self.kind(name) for name in self.inputs}
        return placed(self.model(self.outputs), rules, self.inputs, self.samples, types)

    def random(self, samples: int) -> dict[str, np.ndarray]:
        """Samples (N, *shape) of every input."""
        rng = np.random.default_rng(samples)
        found = {}
        for name, x in self.inputs.items():
            dtype = helper.tensor_dtype_to_np_dtype(self.kind(name))
            shape = (samples, *x.sample_shape)
            whole = dtype.kind != "f"
            values = rng.integers(0, self.highest, shape) if whole else rng.standard_normal(shape)
            found[name] = values.astype(dtype)
        return found


def question(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Placed],
    constants: Arrays | None = None,
    outputs: Sequence[str] | None = None,
    **settings: object,
) -> Question:
    """A question whose outputs default to the last node's."""
    ends = outputs or [nodes[-1].output[0]]
    return Question(nodes, inputs, constants or {}, ends, **settings)  # pyright: ignore[reportArgumentType]


def every_place(*shape: int) -> list[Placed]:
    """A tensor with the samples in an axis of their own at each place, and merged with each axis."""
    own = [Placed((*shape[:i], 1, *shape[i:]), i) for i in range(len(shape) + 1)]
    merged = [
        Placed(shape, i, before)
        for i, s in enumerate(shape)
        for before in sorted({1, 2, s})
        if s % before == 0
    ]
    return own + [x for x in merged if x.is_merged]


def assert_placed(asked: Question) -> Placement:
    """Every tensor is where the pass says, and both graphs that it writes give it."""
    found = asked.answer()
    assert not found.refused, [r.reason for r in found.refused]
    for samples in BATCHES if asked.samples is None else (asked.samples,):
        _assert_batch(asked, found, samples)
    return found


def refusal(asked: Question) -> str:
    """Why the first node that has no place has none."""
    found = asked.answer()
    assert found.refused, {n: str(x) for n, x in found.tensors.items()}
    return found.refused[0].reason or "unknown operator"


def _assert_batch(asked: Question, found: Placement, samples: int) -> None:
    values = asked.random(samples)
    tensors = [name for n in asked.nodes for name in n.output if name]
    file = run(asked.model(tensors), _in_file(asked.inputs, values), tensors)
    parts = {n: found.tensors[n].samples_first(v) for n, v in file.items() if not found.tensors[n].depends}
    for name, x in found.tensors.items():
        if name in file:
            _assert_numbers(x, file[name], samples)
    if asked.samples in (None, 1):
        for sample in range(samples):
            own = {n: u[sample : sample + 1] for n, u in values.items()}
            alone = run(asked.model(tensors), _in_file(asked.inputs, own), tensors)
            for name, part in parts.items():
                place = found.tensors[name].batch
                _same(
                    part if place is None else part[sample : sample + 1],
                    _first(found.tensors[name], alone[name]),
                )
    _assert_written(asked, found, values, parts)


def _in_file(inputs: Mapping[str, Placed], values: Arrays) -> dict[str, np.ndarray]:
    return {n: inputs[n].in_file(u) if inputs[n].batch is not None else u[0] for n, u in values.items()}


def _first(x: Placed, value: np.ndarray) -> np.ndarray:
    return x.samples_first(value)


def _same(found: np.ndarray, expected: np.ndarray) -> None:
    if expected.dtype.kind == "f":
        assert_close(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)


def _assert_numbers(x: Placed, value: np.ndarray, samples: int) -> None:
    """Numbers that the pass knows without data are those of the file, for every sample."""
    if x.value is None:
        return
    parts = x.samples_first(value)
    assert x.value.shape == x.shape
    for sample in range(samples if x.batch is not None else 1):
        own = [number_at(v, samples, sample) for v in x.value.flat]
        for number, wanted in zip(own, parts[min(sample, len(parts) - 1)].flat, strict=True):
            assert number is None or number == wanted


def number_at(number: object, samples: int, sample: int) -> object:
    """A number for N samples in the place of one; None where data decide it."""
    if isinstance(number, Unknown):
        return None
    return number.at(samples, sample) if isinstance(number, Polynomial) else number


def _assert_written(asked: Question, found: Placement, values: Arrays, parts: Arrays) -> None:
    """Both graphs give what the file gives, every tensor that they share with it."""
    first = found.samples_first
    ends = [
        n for node in first.nodes for n in node.output if n in parts and found.tensors[n].batch is not None
    ]
    if ends:
        fed = _needed(asked.written(first, ends), values)
        for name, value in run(asked.written(first, ends), fed, ends).items():
            _same(value, parts[name])
    one = found.one_sample
    if LEADING & {n.op_type for n in one.nodes}:
        return
    ends = [n for node in one.nodes for n in node.output if n in parts]
    for sample in range(len(next(iter(values.values())))) if ends else ():
        fed = _needed(asked.written(one, ends), {n: u[sample] for n, u in values.items()})
        for name, value in run(asked.written(one, ends), fed, ends).items():
            _same(value, parts[name][sample if found.tensors[name].batch is not None else 0])


def _needed(model: onnx.ModelProto, values: Arrays) -> dict[str, np.ndarray]:
    """The inputs that a graph has."""
    names = {i.name for i in model.graph.input}
    return {n: u for n, u in values.items() if n in names}
