"""Boxes hold what inputs within epsilon give, and no attack breaks a certified sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sim_compress.activations import KINDS, Activation
from sim_compress.certificate import output_bound
from sim_compress.errors import InputError, UnsupportedError
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term
from sim_compress.robustness import Domain, certified, pgd, reachable
from sim_compress.robustness.certified import METHODS
from sim_compress.robustness.evaluate import classes_of
from sim_compress.robustness.loss import Ascent
from sim_compress.runtime import Session
from sim_compress.runtime.reverse.inputs import InputGradients
from tests.networks import bias, loop, residual_network, weight
from tests.robustness.test_attacks import classifier, data, linear
from tests.runtime.phi_models import every_phi, phi_model
from tests.runtime.reverse.test_inputs import two_loops

RANDOM = 10_000
MODELS = {
    "classifier": classifier,
    "residual": residual_network,
    "loop": loop,
    "two loops": two_loops,
    "steep loop": lambda: loop(norm=0.95),
}


def assert_boxes_hold(model: ImplicitModel, epsilon: float, method: str, samples: int) -> None:
    """The outputs of random inputs within epsilon, half of them corners, lie in the boxes."""
    rng = np.random.default_rng(0)
    (one,) = model.inputs
    centre = rng.standard_normal((1, *one.shape)).astype(np.float32)
    signs = rng.choice([-1, 1], (samples, *one.shape))
    moves = np.where(
        np.arange(samples).reshape(-1, *(1,) * len(one.shape)) % 2, signs, rng.random(signs.shape) * signs
    )
    moved = np.clip((centre + epsilon * moves).astype(np.float32), *Domain().box(centre, epsilon))
    boxes = reachable(model, centre, epsilon, method=method)
    found = Session(model).predict({one.name: moved})
    for name, (low, high) in boxes.items():
        assert (found[name] >= low).all()
        assert (found[name] <= high).all()
        assert np.isfinite(high - low).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("epsilon", [1e-4, 0.1])
def test_ten_thousand_random_inputs_stay_in_the_boxes(name: str, epsilon: float, method: str):
    assert_boxes_hold(MODELS[name](), epsilon, method, RANDOM)


def refused(model: ImplicitModel, inputs: dict[str, np.ndarray]) -> str | None:
    """Why a model's outputs are not bounded; None where they are."""
    try:
        reachable(model, inputs, 0.05)
    except UnsupportedError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("name", "attributes"), every_phi())
def test_every_phi_is_bounded_or_refused_by_name(name: str, attributes: dict):
    model, centre = phi_model(name, attributes, weighted=True)
    if refusal := refused(model, centre):
        assert name in refusal
        assert max(b.phi.lipschitz(b.affine.shape) for b in model.blocks) == np.inf
        return
    rng = np.random.default_rng(0)
    boxes = [reachable(model, centre, 0.05, method=m) for m in METHODS]
    session = Session(model)
    for _ in range(50):
        moved = {
            n: np.clip(u + rng.uniform(-0.05, 0.05, u.shape).astype(np.float32), *Domain().box(u, 0.05))
            for n, u in centre.items()
        }
        found = session.predict(moved)
        for own in boxes:
            for n, (low, high) in own.items():
                known = np.isfinite(found[n])
                assert (found[n] >= low)[known].all()
                assert (found[n] <= high)[known].all()


@st.composite
def networks(draw: st.DrawFn) -> ImplicitModel:
    """Two hidden blocks of a drawn phi, the second reading the input too."""
    seed = draw(st.integers(0, 10_000))
    names = ["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "softplus", "abs", "hard_swish"]
    phis = [
        Activation(n, {"slope": 0.1} if n == "leaky_relu" else {})
        for n in draw(st.lists(st.sampled_from(names), min_size=2, max_size=2))
    ]
    blocks = (
        StateBlock("one", Affine((6,), (Term("u", (), weight(6, 5, seed=seed)),), bias(6, seed)), phis[0]),
        StateBlock(
            "two",
            Affine(
                (5,), (Term("one", (), weight(5, 6, seed=seed + 1)), Term("u", (), weight(5, 5, seed=seed)))
            ),
            phis[1],
        ),
    )
    scores = Affine((3,), (Term("two", (), weight(3, 5, seed=seed + 2)),), bias(3, seed + 2))
    return ImplicitModel((Input("u", (5,)),), blocks, (Output("scores", scores),))


@settings(max_examples=25, deadline=None)
@given(networks(), st.floats(1e-4, 0.5), st.sampled_from(METHODS))
def test_no_attack_breaks_a_certified_sample(model: ImplicitModel, epsilon: float, method: str):
    u = data(64, 5)
    safe, used = certified(model, u, epsilon, domain=Domain(0, 1), method=method)
    assert used == method
    session = Session(model)
    classes = classes_of(session, {"u": u}, "scores")
    gradient = Ascent(InputGradients(model), "scores")
    for first in range(0, len(u), 32):
        own = slice(first, first + 32)
        moved = pgd(epsilon, 10).moved({"u": u[own]}, gradient.of(classes[own]), {"u": Domain(0, 1)}, first)
        stays = classes_of(session, moved, "scores") == classes[own]
        assert stays[safe[own]].all()


def test_of_a_linear_model_exactly_the_samples_beyond_the_dual_norm_are_certified():
    w = np.random.default_rng(2).standard_normal(12)
    u = data() - 0.5
    margin = np.abs(u @ w) / np.abs(w).sum()
    for method in METHODS:
        safe, _ = certified(linear(w), u, 0.03, method=method)
        clear = np.abs(margin - 0.03) > 1e-5
        np.testing.assert_array_equal(safe[clear], (margin > 0.03)[clear])
        assert 0 < safe.mean() < 1


def test_linear_bounds_certify_more_than_boxes_do():
    u = data()
    found = {m: certified(classifier(), u, 0.03, domain=Domain(0, 1), method=m)[0] for m in METHODS}
    assert (found["linear"] >= found["interval"]).all()
    assert found["linear"].mean() > found["interval"].mean() + 0.05


def test_a_sample_of_the_wrong_class_is_not_certified():
    u = data()
    labels = (Session(classifier())(u).argmax(axis=1) + 1) % 4
    assert not certified(classifier(), u, 1e-6, labels)[0].any()


def test_a_loop_is_certified_through_its_box():
    u = data(100, 3)
    safe, _ = certified(loop(), u, 0.01)
    assert safe.mean() > 0.5


def test_what_cannot_be_bounded_is_refused_by_name():
    block = StateBlock("inverse", Affine((3,), (Term("u", (), weight(3, 3)),)), Activation("reciprocal"))
    model = ImplicitModel(
        (Input("u", (3,)),), (block,), (Output("y", Affine((2,), (Term("inverse", (), weight(2, 3)),))),)
    )
    with pytest.raises(UnsupportedError, match="reciprocal of block 'inverse'"):
        certified(model, data(4, 3), 0.1)
    with pytest.raises(InputError, match="epsilon"):
        certified(classifier(), data(), 0.0)
    with pytest.raises(InputError, match="method"):
        certified(classifier(), data(), 0.1, method="exact")
    assert "reciprocal" in KINDS


def test_the_lipschitz_bound_of_a_linear_model_is_its_norm_and_of_a_loop_that_of_the_inverse():
    w = np.array([1.0, -2.0, 3.0])
    assert output_bound(linear(w)) == pytest.approx(3)
    model = loop(0.9)
    (block,), (output,) = model.blocks, model.outputs
    A, B = (abs(M.toarray().astype(float)) for M in block.affine.weights)
    C = abs(output.affine.weights[0].toarray().astype(float))
    expected = (C @ np.linalg.inv(np.eye(len(A)) - A) @ B).sum(axis=1).max()
    found = output_bound(model)
    assert expected <= found * (1 + 1e-12)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_no_difference_exceeds_the_lipschitz_bound(name: str):
    model = MODELS[name]()
    rng = np.random.default_rng(0)
    (one,) = model.inputs
    u = rng.standard_normal((200, *one.shape)).astype(np.float32)
    session = Session(model)
    base, moved = (
        session.predict({one.name: u}),
        session.predict({one.name: u + rng.choice([-0.1, 0.1], u.shape).astype(np.float32)}),
    )
    largest = max(np.abs(moved[n] - base[n]).max() for n in base)
    assert largest <= output_bound(model) * 0.1 + 1e-4


def test_a_phi_without_a_constant_has_no_bound():
    block = StateBlock(
        "power",
        Affine((2,), (Term("u", (), sparse.csr_array(np.eye(2, dtype=np.float32))),)),
        Activation("square"),
    )
    model = ImplicitModel((Input("u", (2,)),), (block,), (Output("y", Affine((2,), (Term("power"),))),))
    assert output_bound(model) == np.inf
