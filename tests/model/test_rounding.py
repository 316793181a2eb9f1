"""Rounding to half precision: nearest, ties to even, refused where a value is too large."""

import numpy as np
import pytest
from scipy import sparse

from sim_compress.errors import InputError
from sim_compress.model import (
    VALUES,
    Affine,
    ImplicitModel,
    Input,
    Output,
    Term,
    round_values,
    rounded,
    without_vanishing,
)

# Half a unit in the last place of a mantissa.
RELATIVE = {"float32": 0, "float16": 2**-11, "bfloat16": 2**-8}


def one_row(weight: float, bias: float = 0.0) -> ImplicitModel:
    """Two weights, the second one 1."""
    matrix = sparse.csr_array(np.array([[weight, 1]], np.float32))
    rows = Affine((1,), (Term("u", (), matrix),), np.array([bias], np.float32))
    return ImplicitModel((Input("u", (2,)),), (), (Output("y", rows),))


@pytest.mark.parametrize("kind", VALUES)
def test_values_move_by_half_a_unit_at_most(kind: str) -> None:
    values = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    nearest = round_values(values, kind)
    assert nearest.dtype == np.float32
    assert (np.abs(nearest - values) <= RELATIVE[kind] * np.abs(values)).all()
    assert np.array_equal(round_values(nearest, kind), nearest)
    assert len(np.unique(nearest)) < len(np.unique(values)) or kind == "float32"


@pytest.mark.parametrize(
    ("bits", "nearest"),
    [
        (0x3F808000, 0x3F800000),
        (0x3F818000, 0x3F820000),
        (0x3F808001, 0x3F810000),
        (0xBF808000, 0xBF800000),
        (0x3FFFFFFF, 0x40000000),
        (0x00008001, 0x00010000),
    ],
)
def test_bfloat16_takes_the_nearest_and_ties_go_to_even(bits: int, nearest: int) -> None:
    value = np.array([bits], np.uint32).view(np.float32)
    assert round_values(value, "bfloat16").view(np.uint32).tolist() == [nearest]


@pytest.mark.parametrize(("kind", "weight"), [("float16", 65520.0), ("bfloat16", 3.4e38)])
def test_a_value_beyond_the_format_is_refused_by_name(kind: str, weight: float) -> None:
    with pytest.raises(
        InputError, match=rf"block 'y': {weight:.6g} is too large for {kind}".replace("+", r"\+")
    ):
        rounded(one_row(weight), kind)
    with pytest.raises(InputError, match="block 'y': -"):
        rounded(one_row(-weight), kind)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("bias", [0.1, -1e5, 3.4e38, 1e-9, 0.0])
def test_biases_stay_as_they_are(kind: str, bias: float) -> None:
    found = rounded(one_row(0.1, bias), kind).outputs[0].affine.bias
    assert found is not None
    assert found.tolist() == [np.float32(bias)]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_bias_takes_up_what_rounding_does_to_the_mean(kind: str) -> None:
    mean = np.array([1e4, -3.0])
    before = one_row(1.1, 0.25).outputs[0].affine
    (after,) = (o.affine for o in rounded(one_row(1.1, 0.25), kind, {"y": [mean]}).outputs)
    assert before.bias is not None
    assert after.bias is not None
    given = [(a.weights[0] @ mean + a.bias)[0] for a in (before, after)]
    assert abs((after.weights[0] @ mean - before.weights[0] @ mean)[0]) > 1
    # To float32's rounding of the bias.
    assert given[1] == pytest.approx(given[0], abs=1e-6)


def test_a_bias_takes_up_weights_that_vanish_and_a_row_without_one_gets_none() -> None:
    mean = np.array([1e9, 2.0])
    for bias, wanted in ((0.5, 1.5), (0.0, 0.0)):
        found = without_vanishing(one_row(1e-9, bias).outputs[0].affine, "float16", [mean])
        assert found.weights[0].toarray().tolist() == [[0, 1]]
        assert found.bias is not None
        assert found.bias.tolist() == [pytest.approx(wanted, rel=1e-6)]


def test_a_weight_that_rounds_to_zero_leaves_the_support() -> None:
    model = one_row(1e-9)
    found = rounded(model, "float16").outputs[0].affine.weights[0]
    assert found.nnz == 1
    assert model.outputs[0].affine.weights[0].nnz == 2


def test_values_that_would_vanish_can_leave_before_the_others_are_rounded() -> None:
    rows = one_row(1e-9, 0.1).outputs[0].affine
    found = without_vanishing(rows, "float16")
    assert found.weights[0].toarray().tolist() == [[0, 1]]
    assert found.bias is not None
    assert found.bias.tolist() == [np.float32(0.1)]
    # Biases are stored in float32.
    assert without_vanishing(one_row(0.1, 1e-9).outputs[0].affine, "float16").nnz == 3
    assert without_vanishing(rows, "float32").nnz == 3


def test_float32_leaves_a_model_as_it_is() -> None:
    model = one_row(0.1, 0.3)
    found = rounded(model, "float32").outputs[0].affine
    assert found.weights[0].data.tolist() == model.outputs[0].affine.weights[0].data.tolist()
    assert found.bias is model.outputs[0].affine.bias
