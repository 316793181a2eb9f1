"""`nearest`: another pre-activation of the same state, as near as there is one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sim_compress.activations import Activation
from sim_compress.activations.kind import NEARLY

FLAT = [
    Activation("relu"),
    Activation("clip", {"low": -1.0, "high": 2.0}),
    Activation("clip", {"low": 0.0, "high": np.inf}),
    Activation("hard_sigmoid", {"alpha": 0.2, "beta": 0.5}),
    Activation("hard_sigmoid", {"alpha": -0.2, "beta": 0.5}),
    Activation("hard_sigmoid", {"alpha": 0.0, "beta": 0.5}),
    Activation("hard_swish"),
    Activation("thresholded_relu", {"alpha": 1.0}),
    Activation("shrink", {"lambda": 1.0, "bias": 0.5}),
]
NEARLY_FLAT = [
    Activation("sigmoid"),
    Activation("tanh"),
    Activation("erf"),
    Activation("softplus"),
    Activation("gelu"),
    Activation("gelu_tanh"),
    Activation("mish"),
    *(Activation("swish", {"alpha": alpha}) for alpha in (1.0, 1.702, -1.0, 0.3)),
    *(Activation("elu", {"alpha": alpha}) for alpha in (1.0, 2.0, 1e-4, 0.0, -1.0)),
    *(Activation("celu", {"alpha": alpha}) for alpha in (1.0, 2.0, 0.1)),
    Activation("selu", {"alpha": 1.6732632, "gamma": 1.0507010}),
]
POOL = {"kernel": (3, 2), "strides": (2, 1), "dilations": (1, 2), "pads_begin": (1, 0), "pads_end": (1, 1)}
MAX_POOL = Activation("max_pool", POOL)
# Kinks lie on the line of float32 numbers only up to rounding.
ROUNDING = 1e-5
values = arrays(np.float32, (2, 6, 5, 3), elements=st.floats(-4, 4, width=16))
wide = arrays(np.float32, (2, 6, 5, 3), elements=st.floats(-20, 20, width=16))


@pytest.mark.parametrize("phi", FLAT, ids=str)
@given(z=values, found=values)
def test_the_state_stays_and_no_other_flat_point_is_nearer(phi, z, found):
    near = phi.nearest(z, found)
    np.testing.assert_allclose(phi(near), phi(z), atol=ROUNDING)
    assert np.all(np.abs(near - found) <= np.abs(z - found) + ROUNDING)
    # What already gives the state, on the same flat part, is left where it is.
    same = (phi(found) == phi(z)) & (phi((found + z) / 2) == phi(z))
    np.testing.assert_allclose(near[same], found[same], atol=ROUNDING)


@pytest.mark.parametrize("phi", NEARLY_FLAT, ids=str)
@given(z=wide, found=wide)
def test_where_phi_levels_off_the_state_hardly_moves(phi, z, found):
    near = phi.nearest(z, found)
    np.testing.assert_allclose(phi(near), phi(z), atol=1.05 * NEARLY)
    assert np.all(np.abs(near - found) <= np.abs(z - found) + ROUNDING)


@pytest.mark.parametrize("phi", NEARLY_FLAT, ids=str)
def test_far_out_on_the_level_side_every_target_will_do(phi):
    side = 1.0 if phi.attributes.get("alpha") == -1.0 and phi.name == "swish" else -1.0
    z, found = np.full(3, 1e4 * side, np.float32), np.array([20.0, 40.0, 1e5], np.float32) * side
    levels = phi.attributes.get("alpha") != 0.3
    np.testing.assert_array_equal(phi.nearest(z, found), found if levels else z)


@given(z=values, found=values)
def test_losers_of_every_window_move_and_winners_stay(z, found):
    near = MAX_POOL.nearest(z, found)
    np.testing.assert_array_equal(MAX_POOL(near), MAX_POOL(z))
    assert np.all(np.abs(near - found) <= np.abs(z - found))


@pytest.mark.parametrize("slope", [0.0, 0.1, 1.0])
@given(z=values, found=values)
def test_below_zero_a_leaky_target_is_slope_squared_of_the_way_back(slope, z, found):
    near = Activation("leaky_relu", {"slope": slope}).nearest(z, found)
    np.testing.assert_array_equal(near[z > 0], z[z > 0])
    off = (z <= 0) & (found <= 0)
    np.testing.assert_allclose(near[off], (found + slope**2 * (z - found))[off], atol=ROUNDING)
    slopes = {"slopes": np.full((2, 1, 1), slope, np.float32)}
    np.testing.assert_allclose(Activation("prelu", slopes).nearest(z, found), near, atol=ROUNDING)


@pytest.mark.parametrize("name", ["softsign", "identity", "atan", "gelu", "tanh"])
def test_a_phi_that_is_flat_nowhere_keeps_its_target(name):
    z, found = np.linspace(-3, 3, 7, dtype=np.float32), np.zeros(7, np.float32)
    np.testing.assert_array_equal(Activation(name).nearest(z, found), z)
