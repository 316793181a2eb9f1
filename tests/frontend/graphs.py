"""Small ONNX graphs, and their comparison with onnxruntime."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from sim_compress.errors import UnsupportedError
from sim_compress.frontend import Teacher, load_teacher
from sim_compress.frontend.weights import whole
from sim_compress.runtime import Session

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "../shared/models"

# Sums of some thousand products in float32, in another order than onnxruntime's, relative to the largest.
FLOAT32_ROUNDING = 1e-5
# onnxruntime of the versions this package allows knows this one; the newest onnx writes a newer one.
IR_VERSION = 8

Arrays = Mapping[str, np.ndarray]


def node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], name: str = "", **attributes: Any
) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, outputs, name=name, **attributes)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[Any]],
    constants: Arrays | None = None,
    outputs: Sequence[str] | None = None,
    opset: int = 17,
    domains: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A model; inputs map to shapes behind a symbolic batch, outputs default to the last node's.

    Args:
        domains: operator sets beside the standard one, domain -> version.
    """
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N", *s]) for n, s in inputs.items()]
    names = outputs or [nodes[-1].output[0]]
    ends = [onnx.ValueInfoProto(name=n) for n in names]
    for end in ends:
        end.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", infos, ends, tensors)
    sets = [
        helper.make_opsetid(domain, version) for domain, version in {"": opset, **(domains or {})}.items()
    ]
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=sets)
    return onnx.shape_inference.infer_shapes(model)


def typed(model: onnx.ModelProto, kinds: Mapping[str, int]) -> onnx.ModelProto:
    """The model with inputs of other element types."""
    del model.graph.value_info[:]
    for value in model.graph.input:
        value.type.tensor_type.elem_type = kinds.get(value.name, onnx.TensorProto.FLOAT)
    return model


def saved(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "network.onnx"
    onnx.save(model, path)
    return path


def silent_session(model: onnx.ModelProto | Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Beyond the basic level it computes products with dequantised weights in whole numbers.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])


def run(model: onnx.ModelProto | Path, inputs: Arrays, names: Sequence[str] | None = None) -> dict[str, Any]:
    session = silent_session(model)
    wanted = list(names or [o.name for o in session.get_outputs()])
    return dict(zip(wanted, session.run(wanted, dict(inputs)), strict=True))


def random_inputs(teacher: Teacher, samples: int) -> dict[str, np.ndarray]:
    return {i.name: random(samples, *i.shape, seed=k) for k, i in enumerate(teacher.model.inputs)}


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32_ROUNDING * scale)


def of_file(teacher: Teacher, feed: Arrays) -> dict[str, np.ndarray]:
    """What onnxruntime makes of the file for samples (N, *shape), in runs of its batch, samples first."""
    places, total = teacher.places, len(next(iter(feed.values())))
    each = teacher.batch or total
    runs = []
    for start in range(0, total, each):
        part = {n: u[start : start + each] for n, u in feed.items()}
        given = {n: u[0] if places[n].batch is None else places[n].in_file(u) for n, u in part.items()}
        runs.append({n: places[n].samples_first(y) for n, y in run(teacher.path, given).items()})
    return {name: np.concatenate([r[name] for r in runs]) for name in runs[0]}


def run_in_batches(
    model: onnx.ModelProto | Path, inputs: Arrays, size: int, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Outputs of a network of fixed batch for any whole number of such batches."""
    samples = len(next(iter(inputs.values())))
    starts = range(0, samples, size)
    parts = [run(model, {n: v[i : i + size] for n, v in inputs.items()}, names) for i in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def assert_exact(teacher: Teacher, inputs: Arrays | None = None) -> None:
    """Outputs of model and graph equal onnxruntime's on the file, for one sample and for several."""
    each = teacher.batch or 1
    for samples in (each, 3 * each):
        feed = inputs or random_inputs(teacher, samples)
        expected = of_file(teacher, feed)
        found, cleaned = (
            Session(teacher.model).predict(feed),
            run(whole(teacher.graph, teacher.weights), feed),
        )
        for name, value in expected.items():
            assert_close(found[name], value)
            assert_close(cleaned[name], value)


def exact(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[Any]],
    constants: Arrays | None = None,
    outputs: Sequence[str] | None = None,
    opset: int = 17,
) -> Teacher:
    """Load the graph and compare it with onnxruntime."""
    teacher = load_teacher(saved(folder, graph_of(nodes, inputs, constants, outputs, opset)))
    assert_exact(teacher)
    return teacher


def refused(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[Any]],
    constants: Arrays | None = None,
    outputs: Sequence[str] | None = None,
    opset: int = 17,
) -> str:
    """The message that refuses the graph."""
    try:
        load_teacher(saved(folder, graph_of(nodes, inputs, constants, outputs, opset)))
    except UnsupportedError as error:
        return str(error)
    raise AssertionError("the graph was not refused")
