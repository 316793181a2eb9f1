"""A sweep gives what single runs give, over one survey; a search ends at the sparsest model in its bound."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_compress import Settings, Teacher, compress, open_teacher, sparsest, sweep
from sim_compress.compression import prepared, trade_off
from sim_compress.compression.allocation import output_error
from sim_compress.compression.allocation.counts import highest_sparsity, weights_to_keep
from sim_compress.compression.runs import Run
from sim_compress.compression.steps import moments
from sim_compress.errors import InputError
from tests.cli.networks import classifier, images
from tests.workers import WORKERS

MODELS = Path(__file__).parents[2] / "models"
# Beyond 50 % all paths are as long; below they are gone on with from level to level.
LEVELS = [0.25, 0.85, 0.45, 0.6]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Teacher:
    path = tmp_path_factory.mktemp("network") / "net.onnx"
    onnx.save(classifier(), path)
    return open_teacher(path)


def saved(compressed, path: Path) -> bytes:
    compressed.save(path)
    return path.read_bytes()


def test_a_level_of_a_sweep_is_to_the_byte_what_a_run_of_its_own_gives(tmp_path):
    teacher = open_teacher(MODELS / "fashion_mlp.onnx")
    inputs = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:64]
    _, level = sweep(teacher, inputs, Settings(0.5), (0.48, 0.8))
    alone = compress(teacher, inputs, Settings(0.48))
    assert saved(level, tmp_path / "level") == saved(alone, tmp_path / "alone")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"allocation": "alpha"},
        {"allocation": "uniform"},
        {"states": "baseline"},
        {"ignore": ("scores",)},
        {"targets": {"scores": 0.3}},
        {"values": "float16", "kappa": 0.9},
    ],
    ids=str,
)
def test_so_it_is_at_every_level_and_with_other_settings(small, tmp_path, options):
    levels = sweep(small, images(), Settings(0.5, **options), LEVELS)
    for target, level in zip(sorted(LEVELS, reverse=True), levels, strict=True):
        alone = compress(small, images(), Settings(target, **options))
        assert saved(level, tmp_path / "level") == saved(alone, tmp_path / "alone")


def test_grams_of_baseline_states_are_computed_once_for_all_levels(small, monkeypatch):
    calls = []
    grams = moments.baseline_grams
    monkeypatch.setattr(moments, "baseline_grams", lambda *a: calls.append(a) or grams(*a))
    assert len(list(sweep(small, images(), Settings(0.5), LEVELS))) == len(LEVELS)
    assert len(calls) == 1


def test_paths_that_are_gone_on_with_are_those_traced_at_once(small):
    def traced(*targets: float) -> list[dict[str, Any]]:
        """What the steps of one run give, target by target."""
        run = Run(prepared(small, images(), Settings(0.5)))
        return [run.surveyed(Settings(target), lambda *_: None, WORKERS) for target in targets]

    (first, same, further), (fresh,) = traced(0.9, 0.85, 0.2), traced(0.2)
    for name, paths in fresh["paths"].of.items():
        for one, two in zip(paths, further["paths"].of[name], strict=True):
            np.testing.assert_array_equal(one.packed, two.packed)
            np.testing.assert_array_equal(one.rows, two.rows)
        one, two = (run["curves"].curves[name].errors for run in (fresh, further))
        np.testing.assert_array_equal(one, two)
    # Nothing is done twice where the paths are long enough.
    assert all(same[name] is first[name] for name in first)


def test_blocks_are_tried_again_only_where_their_paths_have_grown(small, monkeypatch):
    tried = []
    error = output_error.Trial.error

    def counted(trial, rows):
        tried.extend(rows)
        return error(trial, rows)

    monkeypatch.setattr(output_error.Trial, "error", counted)
    assert len(list(sweep(small, images(), Settings(0.5), LEVELS))) == len(LEVELS)
    together = len(tried)
    for level in LEVELS:
        tried.clear()
        compress(small, images(), Settings(level))
        together -= len(tried)
    # At most as many as all levels would make on their own, less those that two of them share.
    assert together < -len(tried)


def test_progress_names_the_level(small):
    told = []
    list(sweep(small, images(), Settings(0.5), (0.4, 0.8), lambda *what: told.append(what)))
    assert {level for level, stage, _ in told if stage == "states"} == {0.8}
    assert [level for level, stage, part in told if stage == "rows" and part == 1] == [0.8, 0.4]


@pytest.mark.parametrize(
    ("levels", "options", "message"),
    [
        ((), {}, "at least one level"),
        ((0.4, 0.4), {}, "may come once, got 0.4, 0.4"),
        ((0.4, 1.0), {}, "target sparsity must lie strictly between 0 and 1"),
        ((0.4, 0.8), {"matching": "exact"}, "exact matching decides the sparsity itself"),
        ((0.4, 0.8), {"targets": {".*": 0.5}}, "every block has a target of its own"),
        ((0.4, 0.8), {"only": ("nothing",)}, "'nothing' matches the whole name of no block"),
    ],
)
def test_sweeps_that_cannot_be_are_refused_before_any_work(small, levels, options, message):
    with pytest.raises(InputError, match=message):
        sweep(small, images(), Settings(0.5, **options), levels)


def test_a_level_that_leaves_only_biases_is_refused_first(small):
    told = []
    levels = sweep(small, images(), Settings(0.5), (0.4, 0.999), lambda *what: told.append(what))
    with pytest.raises(InputError, match="ask for less than"):
        next(levels)
    assert not told


def missing(compressed) -> float:
    """A drop that is known beforehand: the sparsity itself."""
    return compressed.settings.target_sparsity


def test_the_search_gives_the_model_of_the_sparsity_it_found(small, tmp_path):
    found = sparsest(small, images(), Settings(0.5), missing, 0.37)
    assert [round(100 * t.sparsity) for t in found.tried] == [49, 24, 36, 42, 39, 37, 38]
    assert saved(found.compressed, tmp_path / "found") == saved(
        compress(small, images(), Settings(0.37)), tmp_path / "alone"
    )


def test_a_bound_that_even_the_smallest_sparsity_exceeds_is_refused(small):
    with pytest.raises(InputError, match=r"a sparsity of 1 % alone drops 1 points, the bound is 0\.5"):
        sparsest(small, images(), Settings(0.5), missing, 0.005)


@pytest.mark.parametrize("bound", [-0.1, float("nan")])
def test_a_bound_below_zero_is_refused(small, bound):
    with pytest.raises(InputError, match="bound on the drop from 0"):
        sparsest(small, images(), Settings(0.5), missing, bound)


@given(limit=st.integers(1, 99), highest=st.integers(1, 99))
def test_the_search_ends_at_the_last_percent_within_the_bound_or_at_the_highest_there_is(limit, highest):
    asked = []

    def compressed(_run, settings, _progress, _engine):
        asked.append(settings.target_sparsity)
        return SimpleNamespace(settings=settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trade_off, "prepared", lambda *_: None)
        patch.setattr(Run, "surveyed", lambda *_: None)
        patch.setattr(trade_off, "_check_free", lambda *_: highest)
        patch.setattr(Run, "compressed", compressed)
        found = sparsest(None, None, Settings(0.5), missing, limit / 100)  # type: ignore[arg-type]
    assert missing(found.compressed) == min(limit, highest) / 100
    # Bisection of 99 percents.
    assert len(asked) <= 7
    assert [t.sparsity for t in found.tried] == asked


def test_the_highest_sparsity_is_the_last_that_is_not_refused():
    for teacher in (open_teacher(MODELS / "fashion_mlp.onnx"), open_teacher(MODELS / "resnet20.onnx")):
        affines = [a for _, a in teacher.model.affines()]
        for resolution in (100, 10_000):
            highest = highest_sparsity(affines, resolution)
            assert weights_to_keep(affines, highest / resolution) >= 1
            if highest < resolution - 1:
                with pytest.raises(InputError):
                    weights_to_keep(affines, (highest + 1) / resolution)
