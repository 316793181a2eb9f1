"""What every phi claims of itself holds: shapes, Lipschitz constant, homogeneity, componentwise or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.activations import KINDS, Activation
from sim_compress.errors import UnsupportedError

from .examples import EXAMPLES, Example

NAMES = sorted(KINDS)
FINITE = [n for n in NAMES if np.isfinite(EXAMPLES[n].phi.lipschitz(EXAMPLES[n].shape))]
SAMPLES = 3
# Differences of float64 results, beside the claim.
ROUNDING = 1e-9


def points(example: Example, seed: int, spread: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return spread * rng.standard_normal((*example.shape, SAMPLES))


@pytest.mark.parametrize("name", NAMES)
def test_a_state_has_the_shape_and_type_that_are_claimed(name: str) -> None:
    phi, shape = EXAMPLES[name]
    x = phi(points(EXAMPLES[name], 0, 1.0).astype(np.float32))
    assert x.shape == (*phi.state_shape(shape), SAMPLES)
    assert x.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_samples_do_not_mix(name: str) -> None:
    phi = EXAMPLES[name].phi
    z = points(EXAMPLES[name], 0, 1.0)
    for sample in range(SAMPLES):
        alone = phi(z[..., sample : sample + 1])
        np.testing.assert_allclose(phi(z)[..., sample : sample + 1], alone, rtol=ROUNDING)


@pytest.mark.parametrize("name", FINITE)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([0.01, 0.3, 1.0, 3.0, 30.0]),
    step=st.sampled_from([1e-3, 0.1, 1.0, 10.0]),
)
def test_no_two_points_are_further_apart_than_the_lipschitz_constant_allows(
    name: str, seed: int, spread: float, step: float
) -> None:
    phi, shape = EXAMPLES[name]
    z = points(EXAMPLES[name], seed, spread)
    moved = z + step * np.sign(points(EXAMPLES[name], seed + 1, 1.0))
    distance = np.abs(phi(z) - phi(moved)).max()
    assert distance <= phi.lipschitz(shape) * np.abs(z - moved).max() * (1 + ROUNDING) + ROUNDING


STEEPEST = {
    "gelu": np.sqrt(2),
    "gelu_tanh": 1.4199,
    "swish": 2.3994 / 1.702,
    "mish": 1.4906,
    "hard_swish": 3.0,
}


@pytest.mark.parametrize(("name", "place"), STEEPEST.items(), ids=STEEPEST)
def test_the_constants_of_gates_are_not_far_above_their_steepest_slope(name: str, place: float) -> None:
    phi, shape = EXAMPLES[name]
    step = 1e-4
    z = np.array([place - step, place])
    slope = np.diff(phi(z[:, None])[:, 0])[0] / step
    assert slope <= phi.lipschitz(shape) <= slope * 1.001


@pytest.mark.parametrize("name", [n for n in NAMES if KINDS[n].componentwise])
def test_a_componentwise_phi_moves_one_state_for_one_pre_activation(name: str) -> None:
    phi = EXAMPLES[name].phi
    z = points(EXAMPLES[name], 0, 0.4)
    moved = z.copy()
    moved[0, 1, 2, 0] += 1.7
    changed = phi(z) != phi(moved)
    changed &= ~(np.isnan(phi(z)) & np.isnan(phi(moved)))
    changed[0, 1, 2, 0] = False
    assert not changed.any()


MISFITS = {
    "axes beyond the shape": ("expected axes", Activation("softmax", {"axes": (3,)}), (2, 3, 4)),
    "axes out of order": ("in order", Activation("reduce_max", {"axes": (2, 1)}), (2, 3, 4)),
    "no axes": ("expected axes", Activation("reduce_max", {"axes": ()}), (2, 3, 4)),
    "two axes for one place": ("one axis", Activation("arg_max", {"axes": (0, 1)}), (2, 3)),
    "parts of another size": ("does not hold", Activation("product", {"parts": ((2, 2), (2,))}), (7,)),
    "parts not flat": ("does not hold", Activation("product", {"parts": ((2,), (2,))}), (2, 2)),
    "three parts for two": ("expected 2 parts", Activation("product", {"parts": ((1,), (1,), (1,))}), (3,)),
    "no parts": ("expected some parts", Activation("maximum", {"parts": ()}), (0,)),
    "parts that do not broadcast": ("broadcast", Activation("where", {"parts": ((2,), (3,), (1,))}), (6,)),
    "matrices that do not fit": (
        "no matrix product",
        Activation("matmul", {"parts": ((2, 3), (2, 3))}),
        (12,),
    ),
    "a vector for a matrix": ("no matrix product", Activation("matmul", {"parts": ((2, 3), (3,))}), (9,)),
    "slopes that would stretch z": (
        "do not broadcast",
        Activation("prelu", {"slopes": np.ones((3, 1))}),
        (1, 4),
    ),
    "another norm": ("p = 1 or 2", Activation("lp_norm", {"axes": (0,), "p": 3, "epsilon": 0.0}), (4,)),
    "a window of all channels": (
        "channels",
        Activation("lrn", {"size": 10, "alpha": 1.0, "beta": 1.0, "bias": 1.0}),
        (4, 2),
    ),
    "a celu without a scale": ("alpha = 0", Activation("celu", {"alpha": 0.0}), (4,)),
}


@pytest.mark.parametrize(("message", "phi", "shape"), MISFITS.values(), ids=MISFITS)
def test_attributes_that_do_not_fit_the_pre_activation_are_refused(
    message: str, phi: Activation, shape: tuple
) -> None:
    with pytest.raises(ValueError, match=message):
        phi.state_shape(shape)


def test_an_unknown_phi_or_attribute_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="unknown phi 'magic'"):
        Activation("magic")
    with pytest.raises(UnsupportedError, match="takes"):
        Activation("elu", {"beta": 1.0})


LARGE = np.array([[-1e4], [0.0], [1e4]], np.float32)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "reduce_log_sum_exp"])
def test_exponentials_of_groups_do_not_overflow(name: str) -> None:
    assert np.isfinite(Activation(name, {"axes": (0,)})(LARGE)).all()


@pytest.mark.parametrize(
    "name", ["sigmoid", "softplus", "mish", "gelu", "gelu_tanh", "hard_swish", "softsign"]
)
def test_gates_do_not_overflow(name: str) -> None:
    assert np.isfinite(Activation(name)(LARGE)).all()


def test_an_overflow_is_an_infinity_without_a_warning() -> None:
    assert Activation("exp")(LARGE)[2, 0] == np.inf
