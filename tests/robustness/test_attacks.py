"""Attacks stay in their box, find what they should, and do not depend on batches."""

import numpy as np
import pytest

from sim_compress.activations import Activation
from sim_compress.errors import DataError, InputError
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term
from sim_compress.robustness import Attack, Domain, evaluate, fgsm, pgd
from sim_compress.runtime import Session
from tests.networks import bias, loop, weight


def classifier(features: int = 12, density: float = 0.6) -> ImplicitModel:
    """Two layers of a few units; another density leaves other entries of the same weights."""
    hidden = Affine((8,), (Term("u", (), weight(8, features, density, 8)),), bias(8, 8))
    scores = Affine((4,), (Term("hidden", (), weight(4, 8, seed=9)),), bias(4, 9))
    blocks = (StateBlock("hidden", hidden, Activation("relu")),)
    return ImplicitModel((Input("u", (features,)),), blocks, (Output("scores", scores),))


def data(samples: int = 200, features: int = 12) -> np.ndarray:
    return np.random.default_rng(1).random((samples, features)).astype(np.float32)


def linear(difference: np.ndarray) -> ImplicitModel:
    """Two classes whose scores differ by a linear function."""
    from scipy import sparse

    w = sparse.csr_array(np.stack([difference, -difference]).astype(np.float32) / 2)
    return ImplicitModel(
        (Input("u", (len(difference),)),), (), (Output("scores", Affine((2,), (Term("u", (), w),))),)
    )


def test_of_a_linear_model_attacks_break_what_lies_within_the_dual_norm():
    """A sample's class changes exactly where |w'u| < epsilon ||w||_1."""
    w = np.random.default_rng(2).standard_normal(12)
    u = data() - 0.5
    margin = np.abs(u @ w) / np.abs(w).sum()
    for epsilon in (0.01, 0.03, 0.1):
        safe = np.mean(margin > epsilon)
        found = evaluate(linear(w), u, attacks=[fgsm(epsilon), pgd(epsilon, 10)])
        assert [a.own for a in found.attacks] == pytest.approx([safe, safe], abs=1 / len(u))
        assert 0.01 < safe < 0.99


def test_pgd_finds_more_than_one_step_does():
    found = evaluate(classifier(), data(), attacks=[fgsm(0.3), pgd(0.3)])
    one, many = (a.own for a in found.attacks)
    assert many <= one < found.clean == 1


@pytest.mark.parametrize("attack", [fgsm(0.1, pixels=0.5), pgd(0.1, 5, pixels=0.5), pgd(0.1, 3, step=1.0)])
def test_inputs_stay_within_epsilon_and_the_domain_and_only_the_drawn_part_moves(attack: Attack):
    u, rng = data(), np.random.default_rng(0)
    moved = attack.moved(
        {"u": u}, lambda x: {"u": rng.standard_normal(x["u"].shape)}, {"u": Domain(0.05, 0.95, 0.5)}
    )["u"]
    assert np.abs(moved - np.clip(u, 0.05, 0.95)).max() <= 0.05 + 1e-6
    assert moved[u != moved].min() >= 0.05
    assert moved[u != moved].max() <= 0.95
    counts = (moved != u).sum(axis=1)
    assert counts.max() <= round(attack.pixels * u.shape[1])
    assert counts.mean() > 0.8 * attack.pixels * u.shape[1]


def test_what_is_random_depends_on_the_seed_and_the_samples_number_alone():
    u, domains = data(), {"u": Domain()}

    def moved(attack: Attack, inputs: np.ndarray, first: int = 0) -> np.ndarray:
        return attack.moved({"u": inputs}, lambda x: {"u": -x["u"]}, domains, first)["u"]

    whole = moved(pgd(0.1, 2, pixels=0.5), u)
    np.testing.assert_array_equal(moved(pgd(0.1, 2, pixels=0.5), u[50:60], 50), whole[50:60])
    assert (moved(pgd(0.1, 2, pixels=0.5, seed=1), u) != whole).any()


def test_any_number_of_threads_gives_the_same():
    attacks = [fgsm(0.1, pixels=0.5), pgd(0.1, 5)]
    one, three = (evaluate(classifier(), data(), attacks=attacks, threads=n) for n in (1, 3))
    assert one == three


def test_a_network_is_attacked_too_by_both_gradients():
    ours, theirs = classifier(), classifier(density=0.7)
    found = evaluate(ours, data(), attacks=[pgd(0.2, 5)], against=theirs)
    alone = evaluate(theirs, data(), attacks=[pgd(0.2, 5)])
    (under,) = found.attacks
    assert found.network_clean == 1
    assert under.network_own == alone.attacks[0].own
    assert under.network_transferred is not None
    assert under.network_own is not None
    assert under.network_own < under.network_transferred < found.network_clean
    assert under.transferred is not None
    assert under.own < under.transferred < found.clean < 1


def test_a_model_with_loops_is_attacked_through_its_fixed_point():
    model = loop()
    u = np.random.default_rng(1).standard_normal((64, *model.inputs[0].shape)).astype(np.float32)
    found = evaluate(model, u, attacks=[pgd(0.3, 10)])
    rng = np.random.default_rng(2)
    session = Session(model)
    classes = session(u).argmax(axis=1)
    noisy = session(u + rng.choice([-0.3, 0.3], u.shape).astype(np.float32)).argmax(axis=1)
    assert found.attacks[0].own < np.mean(noisy == classes)


def test_a_model_that_is_sure_has_a_gradient():
    """Scores of a thousand times the size have a softmax of 1 and 0 to the last bit."""
    w = np.random.default_rng(2).standard_normal(12)
    u = data() - 0.5
    small, large = (evaluate(linear(s * w), u, attacks=[fgsm(0.05)]).attacks[0].own for s in (1, 1000))
    assert small == large < 1


def test_labels_decide_what_is_right():
    u = data()
    labels = np.zeros(len(u), int)
    found = evaluate(classifier(), u, labels, [fgsm(0.1)])
    assert found.labelled
    assert found.clean == np.mean(Session(classifier())(u).argmax(axis=1) == 0)


def test_bad_input_is_named():
    u = data()
    with pytest.raises(DataError, match="outside the range"):
        evaluate(classifier(), u, attacks=[fgsm(0.1)], domain=Domain(0.2, 1))
    with pytest.raises(DataError, match="the network has the inputs"):
        evaluate(classifier(), u, attacks=[fgsm(0.1)], against=classifier(7))
    with pytest.raises(DataError, match="expected shape"):
        evaluate(classifier(), u[:, :5])
    with pytest.raises(DataError, match="labels"):
        evaluate(classifier(), u, np.zeros(5, int))
    with pytest.raises(InputError, match="epsilon"):
        fgsm(-1)
    with pytest.raises(InputError, match="empty"):
        Domain(1, 0)
    ids = ImplicitModel(
        (Input("ids", (3,), "int64"),),
        (),
        (Output("scores", Affine((2,), (Term("ids", (), weight(2, 3)),))),),
    )
    with pytest.raises(InputError, match=r"ids \(int64\)"):
        evaluate(ids, np.zeros((2, 3), int), attacks=[fgsm(0.1)])
