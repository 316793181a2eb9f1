"""All values together by gradient descent: closer to the teacher, on the same supports, where it pays."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sim_compress import Settings, Teacher, compress
from sim_compress.artifact import write
from sim_compress.certificate import certify, verify
from sim_compress.compression import Compressed
from sim_compress.compression.tuning.descent import Tuning, tuned
from sim_compress.compression.tuning.matching import BATCH
from sim_compress.core import RowProblems, standardise
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel
from sim_compress.runtime import Session
from sim_compress.states import baseline_grams, row_groups, teacher_rows
from tests.networks import loop
from tests.workers import WORKERS

MODELS = Path(__file__).parents[2] / "models"
CALIBRATION = 96


@pytest.fixture(scope="module")
def solved(teacher, images) -> ImplicitModel:
    return compress(teacher, images[:CALIBRATION], Settings(0.9, tune=0)).model


def names(model: ImplicitModel) -> list[str]:
    return [name for name, affine in model.affines() if affine.weighted]


def tune(teacher: Teacher, model: ImplicitModel, images: np.ndarray, which: list[str], epochs: int = 4):
    inputs = {teacher.model.inputs[0].name: images}
    problems = {name: own for name, own in row_problems(teacher, inputs).items() if name in which}
    return tuned(teacher.model, model, inputs, problems, epochs, WORKERS, lambda _part: None)


def row_problems(teacher: Teacher, inputs: dict[str, np.ndarray]) -> dict[str, list[RowProblems]]:
    """Of every block, on the network's own states."""
    affines = {name: affine for name, affine in teacher.model.affines() if affine.weighted}
    return {
        name: [
            standardise(gram, teacher_rows(affines[name], group), 0.1)
            for group, gram in zip(row_groups(affines[name]), grams, strict=True)
        ]
        for name, grams in baseline_grams(teacher, affines, inputs, WORKERS, lambda _part: None).items()
    }


def errors(found: Tuning) -> tuple[float, float]:
    """Before and after."""
    assert found.before is not None
    assert found.after is not None
    return found.before, found.after


def gained(result: Compressed) -> bool:
    """Whether the error is smaller than before, which the provenance tells too."""
    before, after = errors(result.tuning)
    assert result.provenance["tuning"] == {"epochs": result.tuning.epochs, "before": before, "after": after}
    return after < before


def supports(model: ImplicitModel) -> list[np.ndarray]:
    return [weight.toarray() != 0 for _, affine in model.affines() for weight in affine.weights]


def same(before: sparse.csr_array, after: sparse.csr_array) -> bool:
    return np.array_equal(before.toarray(), after.toarray())


def error(teacher: Teacher, model: ImplicitModel, images: np.ndarray) -> float:
    wanted = Session(teacher.model)(images)
    return float(np.mean((Session(model)(images) - wanted) ** 2) / wanted.var())


def test_outputs_come_closer_also_on_samples_that_were_not_seen(teacher, images, solved):
    model, found = tune(teacher, solved, images[:CALIBRATION], names(solved))
    before, after = errors(found)
    assert after < 0.99 * before
    assert error(teacher, model, images[CALIBRATION:]) < error(teacher, solved, images[CALIBRATION:])


def test_supports_stay(teacher, images, solved):
    model, _ = tune(teacher, solved, images[:CALIBRATION], names(solved))
    for before, after in zip(supports(solved), supports(model), strict=True):
        assert not np.any(after & ~before)


def test_only_the_named_rows_change(teacher, images, solved):
    first, *others = names(solved)
    after = dict(tune(teacher, solved, images[:CALIBRATION], [first])[0].affines())
    before = dict(solved.affines())
    assert not same(before[first].weights[0], after[first].weights[0])
    for name in others:
        assert same(before[name].weights[0], after[name].weights[0])
        np.testing.assert_array_equal(before[name].bias, after[name].bias)


def test_a_model_that_matches_stays_as_it_is(teacher, images):
    model, found = tune(teacher, teacher.model, images[:CALIBRATION], names(teacher.model))
    assert model is teacher.model
    assert found == Tuning()


def test_values_that_get_worse_are_not_taken(teacher, images, solved, monkeypatch):
    monkeypatch.setattr("sim_compress.compression.tuning.matching.LARGEST_STEP", 1e5)
    monkeypatch.setattr("sim_compress.compression.tuning.matching.STEP", 1e6)
    model, found = tune(teacher, solved, images[:CALIBRATION], names(solved), epochs=1)
    assert model is solved
    assert found.before == found.after


def test_a_step_that_is_too_long_is_made_shorter(teacher, images, solved, monkeypatch):
    monkeypatch.setattr("sim_compress.compression.tuning.descent.TRIES", (1e5, 1.0))
    before, after = errors(tune(teacher, solved, images[:CALIBRATION], names(solved), epochs=1)[1])
    assert after < before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity here")
def test_the_same_bytes_for_any_number_of_threads(teacher, images, solved, tmp_path):
    def saved(path: Path) -> bytes:
        found, _ = tune(teacher, solved, images[: 2 * BATCH - 20], names(solved), epochs=2)
        write(path, found, certify(found), {})
        return path.read_bytes()

    every = os.sched_getaffinity(0)
    both = saved(tmp_path / "both")
    try:
        os.sched_setaffinity(0, {min(every)})
        one = saved(tmp_path / "one")
    finally:
        os.sched_setaffinity(0, every)
    assert one == both


def test_the_pipeline_tunes_when_asked(teacher, images, solved):
    result = compress(teacher, images[:CALIBRATION], Settings(0.9, tune=4))
    verify(result.model, result.certificate)
    assert gained(result)
    assert error(teacher, result.model, images) < error(teacher, solved, images)
    assert abs(result.sparsity - 0.9) < 1e-3
    assert "tuning" not in compress(teacher, images[:CALIBRATION], Settings(0.9, tune=0)).provenance


def test_progress_goes_on_through_the_tuning(teacher, images):
    seen: list[float] = []

    def progress(stage: str, part: float) -> None:
        if stage == "rows":
            seen.append(part)

    compress(teacher, images[:CALIBRATION], Settings(0.9, tune=1), progress)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert max(b - a for a, b in pairwise(seen)) < 0.5


def test_values_in_half_precision_stay_so(teacher, images):
    result = compress(teacher, images[:CALIBRATION], Settings(0.9, tune=1, values="float16"))
    for _, affine in result.model.affines():
        for weight in affine.weights:
            np.testing.assert_array_equal(weight.data, weight.data.astype(np.float16))


def test_rows_that_are_left_alone_stay(teacher, images):
    first = names(teacher.model)[0]
    result = compress(teacher, images[:CALIBRATION], Settings(0.9, tune=1, ignore=(first,)))
    before, after = (dict(m.affines())[first] for m in (teacher.model, result.model))
    assert same(before.weights[0], after.weights[0])


def test_channels_that_left_stay_away(images):
    network = MODELS / "fashion_mlp.onnx"
    result = compress(network, images[:CALIBRATION], Settings(0.6, tune=1, pattern="channels"))
    plain = compress(network, images[:CALIBRATION], Settings(0.6, pattern="channels"))
    assert [b.shape for b in result.model.blocks] == [b.shape for b in plain.model.blocks]
    assert gained(result)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"matching": "exact"}, "exact matching"),
        ({"support": "full"}, "full support"),
        ({"tune": -1}, "negative"),
    ],
)
def test_what_does_not_go_with_tuning_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        Settings(0.5, **{"tune": 8, **asked})


def test_loops_are_refused_before_any_work(tmp_path):
    model = loop()
    write(tmp_path / "loop.sim.safetensors", model, certify(model), {})
    inputs = np.random.default_rng(0).standard_normal((8, 3))
    with pytest.raises(InputError, match="has loops"):
        compress(tmp_path / "loop.sim.safetensors", inputs, Settings(0.5, tune=1))
