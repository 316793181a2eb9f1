"""The check at the end: the graph with the samples first gives for each of them what the file gives."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from sim_compress.errors import ModelFileError, UnsupportedError
from sim_compress.frontend.network import Network
from sim_compress.frontend.quiet import RUNTIME_ERRORS, first_line, open_session
from sim_compress.frontend.weights import Weights
from sim_compress.model.maps import Array

# The cleaned graph's fused operators round differently from the file's own.
TOLERANCE = 1e-3
# Samples that tell whether the graph keeps them apart.
PROBES = 3
DEPENDS = "the network's result depends on its batch size; export it with a dynamic batch axis"


def check(original: onnx.ModelProto, weights: Weights, network: Network) -> None:
    """Compare both on random inputs.

    Args:
        original: the file, in float32.
        weights: those of its stubs.
        network: what was made of it.

    Raises:
        UnsupportedError: a sample's outputs are not those of the file.
    """
    samples = PROBES if network.reading.samples in (None, 1) else 2 * network.reading.samples
    rng = np.random.default_rng(0)
    feed = {v.name: _random(rng, v, samples) for v in network.samples_first.graph.input}
    try:
        # The end of a file that was cut off is compared from where it was cut.
        file = (network.file, network.weights) if network.cut else (original, weights)
        expected = _of_file(*file, network, feed, samples)
        found = open_session(network.samples_first, network.weights).run(None, feed)
    except (ModelFileError, *RUNTIME_ERRORS) as error:
        raise UnsupportedError(f"{DEPENDS}; onnxruntime says: {first_line(error)}") from error
    _compare(expected, found)
    if network.reading.is_alone and not network.cut:
        _compare_together(original, weights, network, feed, expected)


def _compare(expected: Sequence[Array], found: Sequence[Any]) -> None:
    """UnsupportedError unless both are the same.

    A sample for which the file gives something that is no number, as for a text of length 0, is left out
    while there are others.
    """
    valid = _with_numbers(expected)
    kept = valid if valid.any() else slice(None)
    for whole, full in zip(expected, map(np.asarray, found), strict=True):
        if whole.shape != full.shape:
            raise UnsupportedError(DEPENDS)
        wanted, got = whole[kept], full[kept]
        # What is no number in the file, as behind a row that is masked whole, nobody asks for.
        told = np.isfinite(wanted)
        scale = TOLERANCE * max(1.0, float(np.abs(wanted[told]).max(initial=0)))
        if not np.allclose(wanted[told], got[told], 0, scale):
            raise UnsupportedError(DEPENDS)


def _with_numbers(outputs: Sequence[Array]) -> NDArray[np.bool_]:
    """Which samples give a number everywhere."""
    found = [~np.isnan(y).reshape(len(y), -1).any(axis=1) for y in outputs if y.dtype.kind == "f"]
    return np.logical_and.reduce([np.ones(len(outputs[0]), bool), *found])


def _compare_together(
    original: onnx.ModelProto,
    weights: Weights,
    network: Network,
    feed: Mapping[str, Array],
    alone: Sequence[Array],
) -> None:
    """UnsupportedError where a file that was read one sample at a time gives something else for several."""
    given = {n: network.reading.inputs[n].in_file(u) for n, u in feed.items()}
    try:
        found = open_session(original, weights).run(None, given)
    except RUNTIME_ERRORS:
        # It takes no more than one.
        return
    ends = [network.tensors[o.name] for o in original.graph.output]
    together = [np.asarray(y) for y in found]
    if [y.shape for y in together] != [x.full_shape(len(y)) for x, y in zip(ends, alone, strict=True)]:
        raise UnsupportedError(DEPENDS)
    _compare(alone, [x.samples_first(y) for x, y in zip(ends, together, strict=True)])


def _random(rng: np.random.Generator, value: onnx.ValueInfoProto, samples: int) -> Array:
    """Numbers for one input: in 0..1, whole numbers and truth values 0 or 1, which any table has rows for."""
    kind = value.type.tensor_type
    shape = (samples, *(d.dim_value for d in kind.shape.dim[1:]))
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    return rng.random(shape, np.float32) if dtype.kind == "f" else rng.integers(0, 2, shape).astype(dtype)


def _of_file(
    original: onnx.ModelProto,
    weights: Weights,
    network: Network,
    feed: Mapping[str, Array],
    samples: int,
) -> list[Array]:
    """Outputs of the file with the samples first, in as many runs as its batch asks for."""
    session, inputs = open_session(original, weights), network.reading.inputs
    each = network.reading.samples or samples
    ends = [network.tensors[o.name] for o in original.graph.output]
    empty = {n: x for n, x in inputs.items() if x.is_known}
    runs = []
    for start in range(0, samples, each):
        part = {n: u[start : start + each] for n, u in feed.items()}
        whole = network.reading.is_whole
        given = {n: np.asarray(u[0]) if whole else inputs[n].in_file(u) for n, u in part.items()}
        given |= {n: np.zeros(x.full_shape(each), np.float32) for n, x in empty.items()}
        found = session.run(None, given)
        runs.append([x.samples_first(np.asarray(v)) for x, v in zip(ends, found, strict=True)])
    return [np.concatenate(parts) for parts in zip(*runs, strict=True)]
