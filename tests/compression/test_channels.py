"""Whole channels leave: together where states are added, states shrink, the exported graph with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from sim_compress import Settings, compress, load, open_teacher
from sim_compress.activations import Activation
from sim_compress.artifact import write
from sim_compress.certificate import certify
from sim_compress.compression.allocation.channels import STAYS, channels
from sim_compress.core import Convex
from sim_compress.errors import InputError
from sim_compress.export import to_onnx
from sim_compress.model import Affine, ImplicitModel, Input, Output, Reshape, StateBlock, Term, narrowed
from sim_compress.runtime import Session
from sim_compress.states import ImplicitTeacher
from tests.compression.gated import NETWORKS
from tests.networks import bias, loop, patches, residual_network, weight

MODELS = Path(__file__).parents[2] / "models"
RELU = Activation("relu")


@pytest.fixture(scope="module")
def mlp():
    return open_teacher(MODELS / "fashion_mlp.onnx")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(MODELS / "fashion_mlp.calibration.npz")["images"]


def everything(model: ImplicitModel) -> set[str]:
    return {name for name, _ in model.affines()}


def test_channels_that_are_added_leave_together_and_those_inside_a_block_alone():
    model = open_teacher(MODELS / "resnet20.onnx").model
    found = channels(model, everything(model))
    # Nine inner convolutions, and the residual stream of each of three stages.
    assert found.count == 3 * (16 + 32 + 64) + 16 + 32 + 64
    stream = [found.rows[b.name] for b in model.blocks if b.shape[0] == 16][::2]
    assert all(np.array_equal(s, stream[0]) for s in stream)
    assert np.all(found.rows["logits"] == STAYS)
    np.testing.assert_array_equal(found.columns["logits"][0], found.rows[model.blocks[-1].name])


def depthwise() -> ImplicitModel:
    """3x3 depthwise between two pointwise convolutions, then a grouped one and scores."""
    first = Affine((4, 5, 5), (Term("u", (patches(1),), weight(4, 2, 1.0)),), bias(4))
    W = np.zeros((4, 4, 9), np.float32)
    W[np.arange(4), np.arange(4)] = np.random.default_rng(0).standard_normal((4, 9))
    own = Term("a", (patches(3, 1, 1),), sparse.csr_array(W.reshape(4, 36)), groups=4)
    grouped = np.kron(np.eye(2), np.ones((3, 2))).astype(np.float32)
    point = Affine((4, 5, 5), (Term("b", (patches(1),), weight(4, 4, 1.0)),), bias(4))
    pairs = Affine((6, 5, 5), (Term("c", (patches(1),), sparse.csr_array(grouped), groups=2),), bias(6))
    scores = Affine((3,), (Term("d", (Reshape((150,)),), weight(3, 150)),), bias(3))
    return ImplicitModel(
        (Input("u", (2, 5, 5)),),
        (
            StateBlock("a", first, RELU),
            StateBlock("b", Affine((4, 5, 5), (own,), bias(4)), RELU),
            StateBlock("c", point, RELU),
            StateBlock("d", pairs, RELU),
        ),
        (Output("scores", scores),),
    )


def test_depthwise_rows_leave_with_the_channel_they_read_and_other_groups_stay():
    model = depthwise()
    found = channels(model, everything(model))
    np.testing.assert_array_equal(found.rows["a"], found.rows["b"])
    assert found.count == 4
    assert np.all(found.rows["c"] == STAYS)
    assert np.all(found.rows["d"] == STAYS)


def test_what_blocks_that_are_left_alone_read_and_give_stays():
    model = depthwise()
    assert channels(model, everything(model) - {"b"}).count == 0
    assert channels(model, everything(model) - {"scores"}).count == 4


def stay(numbers: np.ndarray, gone: np.ndarray) -> np.ndarray:
    return (numbers == STAYS) | ~gone[np.maximum(numbers, 0)]


def without(model: ImplicitModel, gone: np.ndarray) -> ImplicitModel:
    """Zeros on the columns of the sets that leave."""
    found = channels(model, everything(model))

    def affine(name: str, own: Affine) -> Affine:
        columns = iter(found.columns[name])
        terms = []
        for term in own.terms:
            if term.weight is None:
                terms.append(term)
                continue
            reads = term.weight.toarray() * stay(next(columns), gone)
            terms.append(replace(term, weight=sparse.csr_array(reads.astype(np.float32))))
        return Affine(own.shape, tuple(terms), own.bias, own.row_axis)

    return ImplicitModel(
        model.inputs,
        tuple(StateBlock(b.name, affine(b.name, b.affine), b.phi) for b in model.blocks),
        tuple(Output(o.name, affine(o.name, o.affine)) for o in model.outputs),
    )


@pytest.fixture(scope="module")
def gated() -> dict[str, ImplicitModel]:
    return {name: network() for name, network in NETWORKS.items()}


def sets_that_leave(model: ImplicitModel) -> list[int]:
    """Sizes, in channels of all states, of the sets that leave together."""
    found = channels(model, everything(model))
    rows = np.concatenate(list(found.rows.values()))
    return sorted(np.bincount(rows[rows >= 0]).tolist())


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        # Both halves of a row, the gate and the product.
        ("glu", [4] * 4),
        # Half of the projection, SiLU, the other half, the product.
        ("gate and up", [4] * 5),
        # Of the squeezed ones each alone; a convolution's channel, its gate and their product.
        ("squeeze and excite", [1] * 3 + [3] * 6),
        # A channel of both uses; what is given out stays, and with it what the second use reads.
        ("shared weights", [2] * 6),
        # What is between the heads and the last layer.
        ("heads", [1] * 5),
        ("slices", [1] * 12),
    ],
)
def test_channels_leave_with_those_they_are_multiplied_with(gated, name, sizes):
    assert sets_that_leave(gated[name]) == sizes


def test_blocks_that_cannot_lose_a_channel_are_named(gated):
    model = gated["heads"]
    assert set(channels(model, everything(model)).whole) == {"q", "k", "v"}


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sets_that_nobody_reads_may_leave(gated, data):
    model = data.draw(st.sampled_from([depthwise(), residual_network(), loop(), *gated.values()]))
    found = channels(model, everything(model))
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=found.count, max_size=found.count)), bool)
    # One channel of every state stays, and of whatever is made of some channels alone.
    gone[[sets[0] for sets in (*found.rows.values(), *found.needed) if sets[0] >= 0]] = False
    whole = without(model, gone)
    small = narrowed(whole, {b.name: stay(found.rows[b.name], gone) for b in model.blocks})
    rng = np.random.default_rng(0)
    u = {i.name: rng.standard_normal((3, *i.shape)).astype(np.float32) for i in model.inputs}
    ours, theirs = Session(small).predict(u), Session(whole).predict(u)
    for name, y in theirs.items():
        np.testing.assert_allclose(ours[name], y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_narrowed_network_is_written_and_exported_as_it_is(gated, name, tmp_path):
    """All of its channels but one of each state leave, where that is possible."""
    model = gated[name]
    found = channels(model, everything(model))
    gone = np.ones(found.count, bool)
    gone[[sets[0] for sets in (*found.rows.values(), *found.needed) if sets[0] >= 0]] = False
    small = narrowed(without(model, gone), {b.name: stay(found.rows[b.name], gone) for b in model.blocks})
    assert sum(np.prod(b.shape) for b in small.blocks) < sum(np.prod(b.shape) for b in model.blocks)
    rng = np.random.default_rng(0)
    u = rng.standard_normal((3, *model.inputs[0].shape)).astype(np.float32)
    expected = Session(small, kernel="scipy")(u)
    write(tmp_path / "small.safetensors", small, certify(small), {})
    np.testing.assert_allclose(load(tmp_path / "small.safetensors")(u), expected, rtol=1e-4, atol=1e-4)
    (y,) = ort.InferenceSession(to_onnx(small).SerializeToString()).run(None, {model.inputs[0].name: u})
    np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_with_gates_are_compressed_by_channels(gated, name):
    """The result has the sparsity that was asked for, or says that it has not, and runs."""
    model = gated[name]
    u = np.random.default_rng(0).standard_normal((64, *model.inputs[0].shape)).astype(np.float32)
    teacher = ImplicitTeacher(model, Path("gated"), 0, "")
    # Of the network with heads less than that can leave, of the gated convolution nothing smaller.
    target = 0.2 if name == "heads" else 0.3
    result = compress(teacher, u, Settings(target, pattern="channels", tune=0))
    assert 0 < result.sparsity <= target
    assert all(e is not None and e < 1 for e in result.errors.values())


def test_the_result_has_smaller_states_and_so_has_its_onnx(mlp, images, tmp_path):
    result = compress(mlp, images, Settings(0.4, pattern="channels"))
    before, after = ([b.shape[0] for b in m.blocks] for m in (mlp.model, result.model))
    assert all(0 < a <= b for a, b in zip(after, before, strict=True))
    assert sum(after) < sum(before)
    # As near as whole rows of 784 pixels come.
    assert result.sparsity == pytest.approx(0.4, abs=0.015)
    result.save(tmp_path / "small.safetensors")
    graph = to_onnx(result.model).SerializeToString()
    assert len(graph) < 0.7 * mlp.size
    (y,) = ort.InferenceSession(graph).run(None, {mlp.model.inputs[0].name: images[:20].astype(np.float32)})
    np.testing.assert_allclose(
        np.asarray(y), load(tmp_path / "small.safetensors")(images[:20]), rtol=1e-3, atol=1e-3
    )


def test_channels_that_leave_cost_less_than_the_same_number_by_size(mlp, images):
    data = np.load(MODELS / "fashion_mnist.evaluation.npz")

    def right(model: ImplicitModel) -> float:
        return float((Session(model)(data["images"]).argmax(1) == data["labels"]).mean())

    result = compress(mlp, images, Settings(0.3, pattern="channels"))
    found = channels(mlp.model, everything(mlp.model))
    gone = np.zeros(found.count, bool)
    stays = {}
    for name, affine in mlp.model.affines()[:-1]:
        leaving = affine.rows - dict(result.model.affines())[name].rows
        sizes = np.linalg.norm(affine.weights[0].toarray(), axis=1)
        gone[found.rows[name][np.argsort(sizes)[:leaving]]] = True
        stays[name] = ~gone[found.rows[name]]
    by_size = narrowed(without(mlp.model, gone), stays)
    assert by_size.nnz == pytest.approx(result.model.nnz, rel=0.15)
    assert right(result.model) > right(by_size)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"support": "full"}, "no channel can leave"),
        ({"targets": {"x": 0.3}}, "one target"),
        ({"matching": "exact"}, "decides the supports itself"),
    ],
)
def test_settings_that_contradict_channels_are_refused(asked, reason):
    with pytest.raises(InputError, match=reason):
        Settings(0.5, pattern="channels", **asked)


def test_what_cannot_be_done_by_channels_is_refused(mlp, images):
    with pytest.raises(InputError, match="cannot be reached by whole channels"):
        compress(mlp, images[:64], Settings(0.99, pattern="channels"))
    with pytest.raises(InputError, match="no channel of this network can leave"):
        compress(mlp, images[:64], Settings(0.3, pattern="channels", only=("logits",)))
    convex = Convex(lambda v: v[0])
    with pytest.raises(InputError, match="no convex f and C"):
        compress(mlp, images, Settings(0.3, pattern="channels", solver="clarabel"), convex=convex)


def test_states_keep_multiples_of_channels_where_asked(mlp, images):
    result = compress(mlp, images[:128], Settings(0.4, pattern="channels:8"))
    assert all(b.shape[0] % 8 == 0 for b in result.model.blocks)
    assert sum(b.shape[0] for b in result.model.blocks) < 112
