"""Features of any mean and unit cost no more than scaled ones; what does not vary is named and never NaN."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sim_compress import Compressed, Session, Settings, compress
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import graph_of, node, saved

FEATURES, HIDDEN, SAMPLES = 6, 32, 320
# float32's rounding of the network's own sums at a mean of a million deviations, and of the model's.
ROUNDING = 5e-3


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Of three dense layers over features of deviation one."""
    rng = np.random.default_rng(seed)
    sizes = (FEATURES, HIDDEN, HIDDEN, 1)
    found = {}
    for i, (narrow, wide) in enumerate(pairwise(sizes)):
        found[f"w{i}"] = 1.4 * rng.standard_normal((wide, narrow)) / np.sqrt(narrow)
        found[f"b{i}"] = 0.3 * rng.standard_normal(wide)
    return found


def dense(folder: Path, constants: dict[str, np.ndarray], scaler: bool) -> Path:
    """Three dense layers, behind a scaler (x - m) / d where that stays in the graph."""
    folder.mkdir(exist_ok=True)
    nodes = [node("Sub", ["x", "m"], ["c"]), node("Div", ["c", "d"], ["s"])] if scaler else []
    source = "s" if scaler else "x"
    layers = sum(name.startswith("w") for name in constants)
    for i in range(layers):
        last = i == layers - 1
        nodes.append(node("Gemm", [source, f"w{i}", f"b{i}"], ["y" if last else f"z{i}"], transB=1))
        if not last:
            nodes.append(node("Relu", [f"z{i}"], [f"x{i}"]))
        source = f"x{i}"
    float32 = {name: value.astype(np.float32) for name, value in constants.items()}
    return saved(folder, graph_of(nodes, {"x": (FEATURES,)}, float32))


def folded(folder: Path, mean: np.ndarray, deviation: np.ndarray) -> Path:
    """The layers with the scaler folded into the first."""
    own = weights()
    own["w0"] = own["w0"] / deviation
    own["b0"] = own["b0"] - own["w0"] @ mean
    return dense(folder, own, scaler=False)


def inputs(mean: np.ndarray, deviation: np.ndarray, samples: int = SAMPLES, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (mean + deviation * rng.standard_normal((samples, FEATURES))).astype(np.float32)


def error(result: Compressed, path: Path, test: np.ndarray) -> float:
    """Squared error of the output relative to the variance of the network's."""
    ours, theirs = (
        next(iter(Session(m).predict(test).values())) for m in (result.model, load_teacher(path).model)
    )
    return float(np.mean((ours - theirs) ** 2) / np.var(theirs))


@pytest.mark.parametrize("ratio", [1, 1e3, 1e6])
@pytest.mark.parametrize("tune", [0, 4])
def test_a_folded_scaler_costs_no_more_than_one_in_the_graph(tmp_path, ratio, tune):
    """On average: supports that are as good as each other give errors that differ by half."""
    deviation = np.array([0.25, 90.0, 0.04, 0.01, 12.0, 2.0])
    mean = ratio * deviation * [1, 1.1, 0.9, 1.2, -1, 0.8]
    raw = folded(tmp_path / "folded", mean, deviation)
    kept = dense(tmp_path / "kept", weights() | {"m": mean, "d": deviation}, scaler=True)
    settings = Settings(0.5, tune=tune)

    def errors(draw: int) -> tuple[float, float]:
        calibration, test = (inputs(mean, deviation, seed=2 * draw + part) for part in (0, 1))
        found, wanted = (error(compress(p, calibration, settings), p, test) for p in (raw, kept))
        return found, wanted

    found, wanted = np.mean([errors(draw) for draw in range(1, 5)], axis=0)
    assert 1e-4 < wanted < 0.05
    assert found < 1.3 * wanted + (ROUNDING if ratio == 1e6 else 0)


@pytest.mark.parametrize("tune", [0, 4])
def test_features_in_units_a_trillion_apart_cost_no_more_than_scaled_ones(tmp_path, tune):
    deviation, none = np.array([1e-6, 1e6, 1.0, 1e-6, 1e6, 1.0]), np.zeros(FEATURES)
    raw = folded(tmp_path / "raw", none, deviation)
    plain = folded(tmp_path / "plain", none, np.ones(FEATURES))
    settings = Settings(0.5, tune=tune)
    ours, theirs = (
        error(compress(p, inputs(none, d), settings), p, inputs(none, d, seed=2))
        for p, d in ((raw, deviation), (plain, np.ones(FEATURES)))
    )
    assert ours < 1.3 * theirs


@pytest.mark.parametrize("ratio", [1e2, 1e4])
@pytest.mark.parametrize("values", ["float16", "bfloat16"])
@pytest.mark.parametrize("asked", [{"tune": 0}, {"tune": 4}, {"states": "baseline"}, {"pattern": "channels"}])
def test_half_precision_costs_as_little_behind_a_folded_scaler(tmp_path, ratio, values, asked):
    deviation = np.array([0.25, 9.0, 0.4, 0.1, 12.0, 2.0])
    mean = ratio * deviation * [1, 1.1, 0.9, 1.2, -1, 0.8]
    calibration, test = inputs(mean, deviation), inputs(mean, deviation, seed=2)
    path = folded(tmp_path, mean, deviation)
    half, full = (
        error(compress(path, calibration, Settings(0.5, values=v, **asked)), path, test)
        for v in (values, "float32")
    )
    assert half < 1.3 * full + 1e-3


@pytest.mark.parametrize("values", ["float16", "bfloat16"])
def test_a_first_layer_that_is_left_alone_is_rounded_about_its_mean(tmp_path, values):
    deviation = np.array([0.25, 9.0, 0.4, 0.1, 12.0, 2.0])
    mean = 1e4 * deviation
    path, x = folded(tmp_path, mean, deviation), inputs(mean, deviation)
    result = compress(path, x, Settings(0.05, values=values, ignore=("x0",), tune=0))
    assert error(result, path, inputs(mean, deviation, seed=2)) < 2e-3


def gain(result: Compressed) -> float:
    """What tuning leaves of the error of states and outputs."""
    assert result.tuning.before is not None
    assert result.tuning.after is not None
    return result.tuning.after / result.tuning.before


@pytest.mark.parametrize("level", [0.5, 0.8])
@pytest.mark.parametrize("ratio", [1, 1e2, 1e5])
def test_tuning_brings_a_folded_scaler_as_much_as_one_in_the_graph(tmp_path, ratio, level):
    deviation = np.array([0.25, 90.0, 0.04, 0.01, 12.0, 2.0])
    mean = ratio * deviation * [1, 1.1, 0.9, 1.2, -1, 0.8]
    calibration = inputs(mean, deviation)
    raw = folded(tmp_path / "folded", mean, deviation)
    kept = dense(tmp_path / "kept", weights() | {"m": mean, "d": deviation}, scaler=True)
    found, wanted = (gain(compress(p, calibration, Settings(level, tune=8))) for p in (raw, kept))
    assert wanted < 0.98
    assert found == pytest.approx(wanted, abs=0.015)


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_tuning_brings_rows_of_any_unit_as_much_as_rows_of_one(tmp_path, level):
    own, plain = weights(), weights()
    unit = 10.0 ** np.random.default_rng(5).uniform(-3, 3, HIDDEN)
    own["w0"], own["b0"], own["w1"] = own["w0"] * unit[:, None], own["b0"] * unit, own["w1"] / unit
    x = inputs(np.zeros(FEATURES), np.ones(FEATURES))
    paths = (dense(tmp_path / n, w, scaler=False) for n, w in (("own", own), ("plain", plain)))
    found, wanted = (gain(compress(p, x, Settings(level, tune=8))) for p in paths)
    assert wanted < 0.98
    # Large rows count most in the error of states, so they are not the same problem.
    assert found < wanted


@pytest.mark.parametrize("tune", [0, 4])
@pytest.mark.parametrize("unit", [1e-38, 1e-30, 1e25, 1e30])
def test_inputs_of_any_size_have_the_error_of_inputs_of_size_one(tmp_path, unit, tune):
    none, one = np.zeros(FEATURES), np.ones(FEATURES)
    paths = folded(tmp_path / "raw", none, unit * one), folded(tmp_path / "plain", none, one)
    ours, theirs = (
        error(compress(p, inputs(none, u * one), Settings(0.5, tune=tune)), p, inputs(none, u * one, seed=2))
        for p, u in zip(paths, (unit, 1.0), strict=True)
    )
    assert ours == pytest.approx(theirs, rel=0.3)


def deep(folder: Path) -> Path:
    """Six dense layers, 16 wide, whose states hardly vary for inputs near zero."""
    rng = np.random.default_rng(0)
    sizes = (FEATURES, *(16,) * 5, 3)
    constants = {}
    for i, (narrow, wide) in enumerate(pairwise(sizes)):
        bound = 1 / np.sqrt(narrow)
        constants[f"w{i}"] = rng.uniform(-bound, bound, (wide, narrow))
        constants[f"b{i}"] = rng.uniform(-bound, bound, wide)
    return dense(folder, constants, scaler=False)


def assert_finite(result: Compressed) -> None:
    for _, affine in result.model.affines():
        assert all(np.isfinite(w.data).all() for w in affine.weights)
        assert affine.bias is None or np.isfinite(affine.bias).all()


@pytest.mark.parametrize("level", [0.3, 0.6])
def test_states_that_hardly_vary_are_matched_to_a_part_of_that(tmp_path, level):
    path, x = deep(tmp_path), inputs(np.zeros(FEATURES), 5e-4 * np.ones(FEATURES), 64)
    result = compress(path, x, Settings(level))
    assert_finite(result)
    assert result.sparsity == pytest.approx(level, abs=2e-3)
    ours, theirs = (Session(m)(x).astype(np.float64) for m in (result.model, load_teacher(path).model))
    # About the mean of each output, which is ten thousand deviations and more: one of them varies by 30
    # roundings of float32, so they are taken together.
    assert ((ours - theirs) ** 2).mean(axis=0).sum() < 0.05 * theirs.var(axis=0).sum()


@pytest.mark.parametrize("samples", [2, 64])
@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-40])
def test_where_no_state_varies_the_networks_largest_weights_stay_and_are_named(tmp_path, samples, size):
    path, x = deep(tmp_path), inputs(np.zeros(FEATURES), size * np.ones(FEATURES), samples)
    # All the same would be refused: one denormal number is not.
    x[0, 0] = 1e-45
    result = compress(path, x, Settings(0.4))
    assert_finite(result)
    assert result.sparsity == pytest.approx(0.4, abs=2e-3)
    assert any("16 of 16 rows of 'x1'" in note for note in result.notes)
    # Other inputs vary: the model is not a constant.
    other = inputs(np.zeros(FEATURES), np.ones(FEATURES), 200, seed=3)
    assert np.all(Session(result.model)(other).std(axis=0) > 0)


def test_a_constant_column_and_a_dead_state_are_named_and_cost_nothing(tmp_path):
    own = weights()
    own["b0"][3] = -100.0
    path, mean, one = dense(tmp_path, own, scaler=False), np.zeros(FEATURES), np.ones(FEATURES)
    one[2] = 0.0
    mean[2] = 3.0
    x = inputs(mean, one)
    dead = np.count_nonzero((x @ own["w0"].T + own["b0"] <= 0).all(axis=0))
    result = compress(path, x, Settings(0.5))
    assert_finite(result)
    assert error(result, path, inputs(mean, one, seed=2)) < 0.05
    (note,) = [n for n in result.notes if "constant" in n]
    assert "1 of 6 features of 'x0'" in note
    assert f"{dead} of 32 features of 'x1'" in note
    assert result.provenance["notes"] == list(result.notes)


def test_exact_matching_says_that_constants_leave(tmp_path):
    path, mean, one = dense(tmp_path, weights(), scaler=False), np.zeros(FEATURES), np.ones(FEATURES)
    one[2] = 0.0
    result = compress(path, inputs(mean, one, 20), Settings(0.1, matching="exact", tune=0))
    assert_finite(result)
    assert any("the bias takes their place" in note for note in result.notes)
    first = result.model.affines()[0][1].weights[0].toarray()
    assert not first[:, 2].any()
