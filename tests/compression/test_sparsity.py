"""The sparsity is the one asked for, to a tenth of a point or one entry, or the result says why it is not."""

from pathlib import Path

import cvxpy as cp
import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sim_compress import Compressed, Convex, Settings, Teacher, compress, open_teacher, sweep
from sim_compress.compression.allocation.counts import highest_sparsity
from sim_compress.runtime import Session
from tests.compression.odd_networks import ODD, dense, weights
from tests.frontend.graphs import saved

POINT = 0.001


@pytest.fixture(scope="module")
def teachers(tmp_path_factory) -> dict[str, Teacher]:
    def opened(model: onnx.ModelProto) -> Teacher:
        return open_teacher(saved(tmp_path_factory.mktemp("network"), model))

    return {name: opened(make()) for name, make in ODD.items()}


def inputs(teacher: Teacher, samples: int = 120) -> np.ndarray:
    (u,) = teacher.model.inputs
    return np.random.default_rng(1).standard_normal((samples, *u.shape)).astype(np.float32)


def off(teacher: Teacher, result: Compressed, asked: float) -> float:
    """By how many tenths of a point, or entries where these are more, the sparsity is not as asked."""
    parameters = teacher.model.nnz
    return abs(1 - result.model.nnz / parameters - asked) / max(POINT, 1 / parameters)


METHODS = {
    "default": {},
    "values as solved": {"tune": 0},
    "tuned": {"tune": 2},
    "baseline states": {"states": "baseline"},
    "one alpha": {"allocation": "alpha"},
    "uniform": {"allocation": "uniform"},
    "l1": {"objective": "l1"},
    "half precision": {"values": "float16", "tune": 2},
    "brain floats": {"values": "bfloat16", "states": "baseline"},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ODD)
def test_odd_networks_are_as_sparse_as_asked(teachers, name, method):
    # Every network and every method is asked for both.
    asked = (0.2, 0.5)[(list(ODD).index(name) + list(METHODS).index(method)) % 2]
    teacher = teachers[name]
    result = compress(teacher, inputs(teacher), Settings(asked, **METHODS[method]))
    assert off(teacher, result, asked) <= 1
    assert result.sparsity == 1 - result.model.nnz / teacher.model.nnz
    assert not [f for f in result.findings if f.kind == "sparsity"]


@pytest.mark.parametrize("name", ["lattice2", "tiny", "shared", "silent"])
def test_full_support_is_as_sparse_as_asked(teachers, name):
    teacher = teachers[name]
    result = compress(teacher, inputs(teacher), Settings(0.5, support="full"))
    assert off(teacher, result, 0.5) <= 1


@pytest.mark.parametrize(
    "name", ["lattice2", "depthwise", "tiny", "shared", "partly biased", "squeezed without biases"]
)
def test_rows_with_a_convex_function_of_the_users_are_as_sparse_as_asked(teachers, name):
    teacher = teachers[name]
    result = compress(teacher, inputs(teacher), Settings(0.5, solver="clarabel"), convex=Convex(cp.norm1))
    assert off(teacher, result, 0.5) <= 1


@pytest.mark.parametrize("name", ["depthwise", "partly biased", "shared"])
def test_exact_rows_that_are_sparser_than_asked_are_said(teachers, name):
    teacher = teachers[name]
    result = compress(teacher, inputs(teacher, 3), Settings(0.02, matching="exact"))
    (finding,) = result.findings
    assert finding.kind == "sparsity"
    assert f"is {100 * result.sparsity:.2f} %, asked were 2 %: exact matching decides it" in finding.text


def test_levels_of_a_sweep_are_as_sparse_as_asked(teachers):
    teacher = teachers["lattice4"]
    levels = [0.05, 0.2, 0.4]
    found = list(sweep(teacher, inputs(teacher), Settings(0.1), levels))
    assert [off(teacher, r, r.settings.target_sparsity) <= 1 for r in found] == [True] * 3


def test_every_part_has_the_sparsity_asked_of_it(teachers):
    teacher = teachers["squeezed without biases"]
    (first, *_) = (n for n, a in teacher.model.affines() if a.weighted)
    result = compress(teacher, inputs(teacher), Settings(0.5, targets={first: 0.2}))
    before, after = (dict(m.affines()) for m in (teacher.model, result.model))
    own = 1 - after[first].nnz / before[first].nnz
    rest = 1 - (result.model.nnz - after[first].nnz) / (teacher.model.nnz - before[first].nnz)
    assert own == pytest.approx(0.2, abs=1 / before[first].nnz)
    assert rest == pytest.approx(0.5, abs=1 / (teacher.model.nnz - before[first].nnz))


@pytest.mark.parametrize("pattern", ["block:1x4", "block:2x2"])
@pytest.mark.parametrize("states", ["regenerated", "baseline"])
@pytest.mark.parametrize("name", ODD)
def test_tiles_are_as_near_as_one_of_them_allows(teachers, name, pattern, states):
    teacher = teachers[name]
    result = compress(teacher, inputs(teacher), Settings(0.5, pattern=pattern, states=states, tune=0))
    missing = round((result.sparsity - 0.5) * teacher.model.nnz, 6)
    said = [f for f in result.findings if f.kind == "sparsity"]
    assert bool(said) == (abs(missing) > max(1, POINT * teacher.model.nnz))
    assert all("tiles are kept or dropped whole" in f.text for f in said)
    # Where a layer is gone, those behind it have no use for their entries.
    if not any(f.kind == "constant output" for f in result.findings):
        assert -1 < missing < 4


def test_a_pattern_that_fixes_the_sparsity_is_said_where_biases_and_short_groups_keep_it_from_it(teachers):
    teacher = teachers["volumes"]
    result = compress(teacher, inputs(teacher), Settings(0.5, pattern="2:4"))
    (finding,) = (f for f in result.findings if f.kind == "sparsity")
    assert result.sparsity < 0.4
    assert "asked were 50 %: the pattern 2:4 fixes what a row keeps" in finding.text


def test_rows_without_biases_under_a_fixed_pattern_get_none(teachers):
    teacher = teachers["shared"]
    model = compress(teacher, inputs(teacher), Settings(0.5, pattern="2:4")).model
    assert [a.bias is None for _, a in model.affines()] == [True, True, False]


def test_channels_that_leave_whole_are_said(teachers):
    teacher = teachers["volumes"]
    result = compress(teacher, inputs(teacher), Settings(0.5, pattern="channels"))
    (finding,) = (f for f in result.findings if f.kind == "sparsity")
    assert result.sparsity < 0.5
    assert "channels leave whole" in finding.text
    assert result.provenance["findings"] == [f.text for f in result.findings]


def test_minima_and_maxima_survive_a_twentieth_of_their_weights(teachers):
    teacher = teachers["lattice2"]
    u = inputs(teacher)
    result = compress(teacher, u, Settings(0.05))
    wanted = Session(teacher.model)(u)
    error = np.mean((Session(result.model)(u) - wanted) ** 2) / np.var(wanted)
    assert error < 0.02
    assert result.errors["m2"] == pytest.approx(error, rel=1e-3)
    assert result.findings == ()


def test_a_bias_that_earns_its_place_counts_as_an_entry(tmp_path):
    # Sums of many states that are hardly ever negative: a bias says more of them than one of their weights.
    model = dense((6, 30, 4), (True, False))
    for tensor in model.graph.initializer:
        if tensor.name == "w1":
            tensor.CopyFrom(onnx.numpy_helper.from_array(0.1 + 0.01 * weights(4, 30, seed=1), "w1"))
    teacher = open_teacher(saved(tmp_path, model))
    last = teacher.model.outputs[0].name
    settings = Settings(0.3, targets={last: 0.9}, tune=0, nearest_rounds=0)
    (_, (_, after)) = compress(teacher, inputs(teacher), settings).model.affines()
    assert after.bias is not None
    assert 0 < np.count_nonzero(after.bias) <= 4
    assert after.nnz == 12


def test_tuning_gives_no_row_a_bias(tmp_path):
    some = np.array([0.3, 0, 0, 0.2, 0, 0], np.float32)
    teacher = open_teacher(saved(tmp_path, dense((5, 6, 3), (some, True))))
    result = compress(teacher, inputs(teacher), Settings(0.2, tune=4))
    solved = compress(teacher, inputs(teacher), Settings(0.2, tune=0))
    assert result.tuning.epochs == 4
    for (_, one), (_, two) in zip(result.model.affines(), solved.model.affines(), strict=True):
        np.testing.assert_array_equal(one.bias != 0, two.bias != 0)


def test_weights_too_small_for_half_precision_make_room_for_others(tmp_path):
    model = dense((40, 20, 3), (True, True), phi="Tanh")
    small = weights(20, 40)
    small[:, ::2] *= 1e-9
    for tensor in model.graph.initializer:
        if tensor.name == "w0":
            tensor.CopyFrom(onnx.numpy_helper.from_array(small, "w0"))
    teacher = open_teacher(saved(tmp_path, model))
    u = inputs(teacher)
    # Large inputs make small weights matter, most of which half precision cannot hold.
    u[:, ::2] *= 1e9
    for tune in (0, 2):
        result = compress(teacher, u, Settings(0.6, values="float16", tune=tune))
        assert off(teacher, result, 0.6) <= 1


def test_rows_behind_units_that_are_always_off_keep_the_networks_weights_and_are_named(tmp_path):
    off_always = np.full(3, -90, np.float32)
    teacher = open_teacher(saved(tmp_path, dense((4, 3, 40, 40), (off_always, False, False))))
    result = compress(teacher, inputs(teacher), Settings(0.05))
    assert off(teacher, result, 0.05) <= 1
    (note,) = (text for text in result.notes if "constant over the calibration inputs" in text)
    assert f"40 of 40 rows of {teacher.model.blocks[1].name!r}" in note


def test_five_rows_that_never_vary_are_named(teachers):
    teacher = teachers["silent"]
    result = compress(teacher, inputs(teacher), Settings(0.05))
    assert off(teacher, result, 0.05) <= 1
    (note,) = (text for text in result.notes if "constant over the calibration inputs" in text)
    assert f"5 of 12 rows of {teacher.model.blocks[1].name!r}" in note


@st.composite
def networks(draw) -> onnx.ModelProto:
    depth = draw(st.integers(1, 3))
    widths = draw(st.lists(st.integers(1, 9), min_size=depth + 1, max_size=depth + 1))
    seed = draw(st.integers(0, 5))

    def bias(rows: int):
        kind = draw(st.sampled_from(["none", "all", "some"]))
        if kind == "some":
            return np.where(np.arange(rows) % 2, 0.2, 0).astype(np.float32)
        return kind == "all"

    phi = draw(st.sampled_from(["Tanh", "LeakyRelu"]))
    return dense(widths, [bias(rows) for rows in widths[1:]], phi, seed)


@given(
    model=networks(),
    asked=st.floats(0.02, 0.8),
    method=st.sampled_from(sorted(METHODS)),
)
@settings(max_examples=60, deadline=None)
def test_any_small_network_is_as_sparse_as_asked(tmp_path_factory, model, asked, method):
    folder: Path = tmp_path_factory.mktemp("network")
    teacher = open_teacher(saved(folder, model))
    rows = [affine for _, affine in teacher.model.affines()]
    assume(asked <= highest_sparsity(rows, 100) / 100)
    result = compress(teacher, inputs(teacher, 50), Settings(asked, **METHODS[method]))
    # Where a layer is gone, those behind it have no use for their entries.
    assume(not any(f.kind == "constant output" for f in result.findings))
    assert off(teacher, result, asked) <= 1
