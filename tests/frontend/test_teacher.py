"""States are read from the cleaned graph, whole or block by block."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress.errors import InputError
from sim_compress.frontend import StateTensors, Teacher, load_teacher
from sim_compress.frontend.weights import whole
from sim_compress.model import ImplicitModel, matrices
from sim_compress.runtime import preactivation
from tests.frontend.graphs import assert_close, graph_of, node, random, random_inputs, run, saved


@pytest.fixture
def teacher(tmp_path: Path) -> Teacher:
    """A residual network with pooling, an identity block and two outputs."""
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], "stem", pads=[1, 1, 1, 1]),
        node("Relu", ["c0"], ["r0"], "relu0"),
        node("MaxPool", ["r0"], ["p0"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p0", "w1"], ["c1"], "inner", pads=[1, 1, 1, 1]),
        node("LeakyRelu", ["c1"], ["r1"], "relu1", alpha=0.1),
        node("Conv", ["r1", "w2"], ["c2"], "outer", pads=[1, 1, 1, 1]),
        node("Add", ["c2", "p0"], ["a"], "add"),
        node("Relu", ["a"], ["r2"], "relu2"),
        node("Flatten", ["r2"], ["f"], "flat"),
        node("Gemm", ["f", "w3", "b3"], ["g"], "head"),
        node("Sigmoid", ["g"], ["s"], "gate"),
    ]
    constants = {
        "w0": random(4, 2, 3, 3),
        "b0": random(4),
        "w1": random(3, 4, 3, 3, seed=1) / 4,
        "w2": random(4, 3, 3, 3, seed=2) / 4,
        "w3": random(36, 5, seed=3) / 6,
        "b3": random(5, seed=4),
    }
    model = graph_of(nodes, {"x": (2, 6, 6)}, constants, outputs=["g", "s"])
    return load_teacher(saved(tmp_path, model))


def _states(teacher: Teacher, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor of the cleaned graph that holds a pre-activation, a state or an output."""
    names = {name for pair in _pairs(teacher).values() for name in pair} | set(teacher.outputs.values())
    return run(_with_outputs(whole(teacher.graph, teacher.weights), names), inputs, sorted(names)) | inputs


def _pairs(teacher: Teacher) -> dict[str, tuple[str, str]]:
    """Block name -> tensors of its pre-activation and its state."""
    return {name: (t.before, t.after) for name, t in teacher.tensors.items() if t.before and not t.maps}


def _with_outputs(graph: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    ends = {o.name for o in copy.graph.output}
    copy.graph.output.extend(v for v in copy.graph.value_info if v.name in names - ends)
    return copy


def _check_states(teacher: Teacher, read: dict[str, np.ndarray]) -> None:
    """Each block's z and x, computed from the states read out, equal those read out."""
    values = {i.name: np.moveaxis(read[i.name], 0, -1) for i in teacher.model.inputs}
    for block in teacher.model.blocks:
        z = preactivation(block.affine, values)
        before, after = (np.moveaxis(read[name], 0, -1) for name in _pairs(teacher)[block.name])
        assert_close(z, before)
        assert_close(block.phi(z), after)
        values[block.name] = after
    for output in teacher.model.outputs:
        found = preactivation(output.affine, values)
        assert_close(found, np.moveaxis(read[teacher.outputs[output.name]], 0, -1))


def test_every_pre_activation_and_state_is_a_tensor_of_the_cleaned_graph(teacher: Teacher) -> None:
    assert list(teacher.tensors) == [b.name for b in teacher.model.blocks]
    assert teacher.tensors["relu2"] == StateTensors("a", "r2")
    assert teacher.tensors["head"] == StateTensors("g", "g")
    _check_states(teacher, _states(teacher, random_inputs(teacher, 3)))


def test_the_teacher_is_advanced_block_by_block_from_the_tensors_held(teacher: Teacher) -> None:
    inputs = random_inputs(teacher, 3)
    held = dict(inputs)
    for block in teacher.model.blocks:
        sources = {t.source for t in block.affine.terms}
        cut = [teacher.tensors[s].after if s in teacher.tensors else s for s in sources]
        wanted = [*dict.fromkeys(_pairs(teacher)[block.name])]
        part = teacher.submodel(cut, wanted)
        assert {n.name for n in part.graph.node} <= {"stem", "inner", "outer", "add", "flat", "head"} | {
            block.name
        }
        held |= run(part, {name: held[name] for name in cut}, wanted)
    expected = _states(teacher, inputs)
    for pair in _pairs(teacher).values():
        for name in pair:
            assert_close(held[name], expected[name])


def test_a_part_holds_only_its_own_nodes_and_weights(teacher: Teacher) -> None:
    part = teacher.submodel(["p0"], ["r1"])
    assert [n.name for n in part.graph.node] == ["inner", "relu1"]
    assert [i.name for i in part.graph.initializer] == ["w1"]
    first = part.graph.input[0].type.tensor_type.shape.dim[0]
    assert first.dim_param == "N"


def test_a_part_is_refused_when_its_inputs_do_not_determine_its_outputs(teacher: Teacher) -> None:
    with pytest.raises(InputError, match="'x' is needed"):
        teacher.submodel(["r1"], ["r2"])
    with pytest.raises(InputError, match="no tensor 'nowhere'"):
        teacher.submodel(["nowhere"], ["r2"])


def _picard(model: ImplicitModel, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Y after as many iterations X = phi(A X + B U) from zero as there are blocks."""
    A, B, C, D = matrices(model)
    samples = len(next(iter(inputs.values())))
    columns = [inputs[i.name].reshape(samples, -1).T for i in model.inputs]
    U = np.concatenate([*columns, np.ones((1, samples))])
    X = np.zeros((sum(int(np.prod(b.shape)) for b in model.blocks), samples))
    for _ in model.blocks:
        Z = A @ X + B @ U
        rows = np.cumsum([0, *(int(np.prod(b.affine.shape)) for b in model.blocks)])
        X = np.concatenate(
            [
                b.phi(Z[start:stop].reshape(*b.affine.shape, samples)).reshape(-1, samples)
                for b, start, stop in zip(model.blocks, rows[:-1], rows[1:], strict=True)
            ]
        )
    return (C @ X + D @ U).T


def test_picard_iteration_on_the_unrolled_matrices_equals_onnxruntime(teacher: Teacher) -> None:
    inputs = random_inputs(teacher, 3)
    expected = run(teacher.path, inputs)
    found = _picard(teacher.model, inputs)
    assert_close(found, np.concatenate([expected[o.name] for o in teacher.model.outputs], axis=1))


def test_picard_iteration_equals_onnxruntime_where_rows_lie_on_a_later_axis(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "v"], ["h"], "tokens"),
        node("Add", ["h", "b"], ["z"]),
        node("Tanh", ["z"], ["a"], "tanh"),
        node("MatMul", ["w", "a"], ["y"], "mixed"),
    ]
    constants = {"v": random(4, 3), "b": random(3), "w": random(2, 5, seed=1)}
    tokens = load_teacher(saved(tmp_path, graph_of(nodes, {"x": (5, 4)}, constants)))
    inputs = random_inputs(tokens, 3)
    assert_close(_picard(tokens.model, inputs), run(tokens.path, inputs)["y"].reshape(3, -1))


def test_picard_iteration_on_a_trained_network_equals_onnxruntime() -> None:
    path = Path(__file__).parents[2] / "models/fashion_mlp.onnx"
    if not path.exists():
        pytest.skip("models/fashion_mlp.onnx is not in this checkout")
    trained = load_teacher(path)
    pixels = {"images": np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28)).astype(np.float32)}
    assert_close(_picard(trained.model, pixels), run(path, pixels)["logits"])
    _check_states(trained, _states(trained, pixels))
