"""Values tuned to keep the network's classes where inputs move: without labels, the same from any engine."""

import numpy as np
import pytest

from sim_compress import Settings, compress
from sim_compress.cli.outcome import setting_figures
from sim_compress.compression.tuning import robust
from sim_compress.compression.tuning.robust import RobustMatching
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel
from sim_compress.robustness import Domain, evaluate, pgd
from tests.networks import loop, residual_network
from tests.workers import WORKERS

EPSILON = 8.0
CALIBRATION, UNSEEN = 256, 200


def under_attack(model: ImplicitModel, teacher: ImplicitModel, images: np.ndarray) -> float:
    """Part of unseen images that keep the network's class."""
    found = evaluate(
        model, images[-UNSEEN:], attacks=[pgd(EPSILON, 10)], against=teacher, domain=Domain(0, 255)
    )
    return found.attacks[0].own


def test_more_unseen_images_keep_their_class_under_attack(teacher, images):
    own = images[:CALIBRATION]
    tuned = compress(teacher, own, Settings(0.5, robust=EPSILON, tune=40)).model
    plain = compress(teacher, own, Settings(0.5)).model
    gained = under_attack(tuned, teacher.model, images) - under_attack(plain, teacher.model, images)
    assert gained > 0.05
    assert tuned.nnz <= plain.nnz


def matching(teacher, images: np.ndarray, epsilon: float) -> RobustMatching:
    model = compress(teacher, images, Settings(0.7, tune=0)).model
    names = [name for name, affine in model.affines() if affine.weighted]
    return RobustMatching(
        teacher.model, model, {teacher.model.inputs[0].name: images}, names, WORKERS, epsilon
    )


def test_the_gradient_is_that_of_the_loss(teacher, images, monkeypatch):
    """Where inputs hardly move and none is mixed: else the loss of a step is another than that of all."""
    with matching(teacher, images[:32], 1e-6) as own:
        monkeypatch.setattr(own, "_mixes", False)
        found = own.gradient(np.arange(32))
        rng = np.random.default_rng(0)
        for name, parameters in own.parameters.items():
            # Along the gradient the slope is large beside the rounding of the loss.
            before = [p.copy() for p in parameters]
            ways = [
                np.sign(g) * np.abs(p).mean() * rng.random(p.shape)
                for g, p in zip(found[name], parameters, strict=True)
            ]
            losses = []
            for step in (1e-2, -1e-2):
                for p, b, w in zip(parameters, before, ways, strict=True):
                    p[:] = b + step * w
                losses.append(own.error().total)
            for p, b in zip(parameters, before, strict=True):
                p[:] = b
            expected = 2e-2 * sum(float((g * w).sum()) for g, w in zip(found[name], ways, strict=True))
            assert expected == pytest.approx(losses[0] - losses[1], rel=0.05)


def test_moved_inputs_cost_more_than_inputs_that_stay(teacher, images):
    with matching(teacher, images[:64], 1e-6) as still, matching(teacher, images[:64], EPSILON) as moved:
        assert moved.before.total > 1.02 * still.before.total


def test_one_epsilon_for_each_channel_moves_each_by_its_own():
    own = robust.radius((3, 4, 4), (1.0, 2.0, 3.0))
    np.testing.assert_array_equal(own[:, 0, 0], [1, 2, 3])
    np.testing.assert_array_equal(robust.radius((4, 4, 3), (1.0, 2.0, 3.0)), [1, 2, 3])
    for shape in ((2, 4, 4), (1,), ()):
        with pytest.raises(InputError, match="3 values"):
            robust.radius(shape, (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"robust": 0.0}, "above 0"),
        ({"robust": float("inf")}, "above 0"),
        ({"robust": 1.0, "tune": 0}, "tune=0"),
        ({"robust": 1.0, "support": "full"}, "leave it out"),
        ({"robust": 1.0, "matching": "exact"}, "leave it out"),
    ],
)
def test_what_cannot_be_robust_is_refused_at_once(asked, words):
    with pytest.raises(InputError, match=words):
        Settings(0.5, **asked)


@pytest.mark.parametrize(("model", "words"), [(residual_network(), "class scores"), (loop(), "loops")])
def test_networks_that_cannot_be_robust_are_refused(model: ImplicitModel, words: str):
    rng = np.random.default_rng(0)
    inputs = {i.name: rng.standard_normal((8, *i.shape)).astype(np.float32) for i in model.inputs}
    with pytest.raises(InputError, match=words):
        RobustMatching(model, model, inputs, [], WORKERS, 1.0)


def test_one_epsilon_for_each_channel_is_a_text_in_a_report():
    assert setting_figures(Settings(0.5, robust=(0.25, 0.5)))["robust"] == "0.25, 0.5"
    assert setting_figures(Settings(0.5, robust=2.0))["robust"] == 2.0
