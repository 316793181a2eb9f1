"""Where a network's samples are said to be, against what onnxruntime computes for every tensor."""

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from sim_compress.frontend.axes import Placed
from sim_compress.frontend.network import Network
from sim_compress.frontend.weights import whole
from tests.frontend.axes.oracle import number_at
from tests.frontend.graphs import Arrays

# Sums of some thousand products in float32, relative to each value and to 1.
TOLERANCE = 1e-4
# Samples that runs are made of.
POOL = 3


class Unoptimised:
    """Every tensor of a graph, as onnxruntime computes it node by node."""

    def __init__(self, model: onnx.ModelProto) -> None:
        whole = onnx.ModelProto()
        whole.CopyFrom(model)
        known = {o.name for o in whole.graph.output}
        made = (name for node in whole.graph.node for name in node.output if name and name not in known)
        whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in made)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            whole.SerializeToString(), options, ["CPUExecutionProvider"]
        )
        self.names = [o.name for o in self._session.get_outputs()]
        self.inputs = [i.name for i in self._session.get_inputs()]

    def run(self, feed: Arrays) -> dict[str, np.ndarray]:
        given = {name: np.ascontiguousarray(feed[name]) for name in self.inputs}
        return dict(zip(self.names, map(np.asarray, self._session.run(None, given)), strict=True))


def misplaced(network: Network, pool: Arrays) -> Iterator[str]:
    """What is wrong: of the places, of the graph with the samples first.

    Args:
        network: what the axis pass made of its `file`.
        pool: input name -> POOL samples, samples first.
    """
    inputs, size = network.reading.inputs, network.reading.samples
    runs = _runs(size)
    file = Unoptimised(whole(network.file, network.weights))
    found = {}
    for members in runs:
        chosen = {n: v[list(members)] for n, v in pool.items()}
        given = {n: inputs[n].in_file(v) for n, v in chosen.items()}
        found[members] = file.run(given)
    yield from _wrong_places(network.tensors, found)
    expected = _by_sample(network.tensors, found)
    first = Unoptimised(whole(network.samples_first, network.weights)).run(pool)
    for name in first.keys() & expected.keys():
        if first[name].ndim == 0 or len(first[name]) != POOL:
            yield f"samples first: {name} has shape {first[name].shape} for {POOL} samples"
            continue
        for sample, value in expected[name].items():
            if not _close(first[name][sample], value):
                yield f"samples first: {name} is {_apart(first[name][sample], value)} off for sample {sample}"
                break


def _runs(size: int | None) -> list[tuple[int, ...]]:
    """Samples of each run: with a free batch one, two and all; else every sample at every place."""
    if size is None:
        return [(0,), (1,), (2,), (0, 1), (0, 1, 2)]
    return [tuple((start + i) % POOL for i in range(size)) for start in range(POOL)]


def _wrong_places(tensors: Mapping[str, Placed], runs: Mapping[tuple[int, ...], Arrays]) -> Iterator[str]:
    """Sizes, known numbers and the samples of several runs against the places."""
    seen: dict[str, dict[int | None, np.ndarray]] = {}
    for members, values in runs.items():
        for name in values.keys() & tensors.keys():
            x, value = tensors[name], values[name]
            if value.shape != x.full_shape(len(members)):
                yield f"{name} {x}: shape {value.shape} for {len(members)} samples"
                continue
            samples = x.samples_first(value)
            for place, sample in enumerate(members if x.batch is not None else [None]):
                one = samples[place]
                if not _as_known(x, one, len(members), place):
                    known, is_now = str(x.value).replace("\n", "")[:80], one.ravel()[:8]
                    yield f"{name} {x}: known as {known}, is {is_now} at {place} of {len(members)}"
                    break
                if x.depends:
                    continue
                before = seen.setdefault(name, {}).setdefault(sample, one)
                if not _close(one, before):
                    yield f"{name} {x}: sample {sample} is {_apart(one, before)} off in the run {members}"
                    break


def _by_sample(
    tensors: Mapping[str, Placed], runs: Mapping[tuple[int, ...], Arrays]
) -> dict[str, dict[int, np.ndarray]]:
    """Tensor name -> sample -> its values, without the axis of the samples."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for members, values in runs.items():
        for name in values.keys() & tensors.keys():
            x = tensors[name]
            if x.batch is None or x.depends or values[name].shape != x.full_shape(len(members)):
                continue
            for place, sample in enumerate(members):
                found.setdefault(name, {})[sample] = x.samples_first(values[name])[place]
    return found


def _as_known(x: Placed, value: np.ndarray, samples: int, place: int) -> bool:
    """Whether numbers that follow without data are these, at a place of a run of so many samples."""
    if x.value is None:
        return True
    known = x.value.reshape(value.shape)
    if known.dtype != object:
        return _close(value, known)
    numbers = (number_at(k, samples, place) for k in known.ravel())
    return all(n is None or n == v for n, v in zip(numbers, value.ravel(), strict=True))


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    if a.dtype.kind != "f":
        return bool((a == b).all())
    return bool(np.isclose(a, b, TOLERANCE, TOLERANCE, equal_nan=True).all())


def _apart(a: np.ndarray, b: np.ndarray) -> str:
    if a.shape != b.shape:
        return f"of shape {a.shape} instead of {b.shape}"
    return f"{np.nanmax(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0):.3g}"
