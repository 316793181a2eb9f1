"""Both kernels give the same outputs on every network, for any batch size and number of threads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.errors import UnsupportedError
from sim_compress.frontend import load_teacher
from sim_compress.model import (
    Affine,
    ImplicitModel,
    Input,
    Output,
    Pad,
    Patches,
    Reshape,
    StateBlock,
    Sum,
    Term,
)
from sim_compress.runtime import Session, Tolerance
from tests.networks import POOL, bias, loop, patches, residual_network, weight

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "../shared/models"
BATCHES = (0, 1, 2, 7, 64, 65)
# Sums of up to some thousand products in float32, in another order; relative to the largest output.
ROUNDING = 2e-5


def inputs(model: ImplicitModel, samples: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(samples)
    return {i.name: rng.standard_normal((samples, *i.shape)).astype(np.float32) for i in model.inputs}


def assert_kernels_agree(model: ImplicitModel, batches: tuple[int, ...] = BATCHES) -> None:
    tolerance = Tolerance(residual=1e-6)
    reference = Session(model, tolerance, kernel="scipy")
    sessions = [Session(model, tolerance, kernel="numba", threads=threads) for threads in (1, 2)]
    for samples in batches:
        fed = inputs(model, samples)
        expected, alone, together = (s.predict(fed) for s in (reference, *sessions))
        for name, y in expected.items():
            assert alone[name].shape == y.shape
            assert alone[name].dtype == np.float32
            scale = np.abs(y).max(initial=1e-3)
            np.testing.assert_allclose(alone[name], y, rtol=0, atol=ROUNDING * scale)
            np.testing.assert_array_equal(alone[name], together[name])


def convolution(phi: Activation, size: int = 9, **shape: int) -> ImplicitModel:
    """One convolution, its phi, and the state as output."""
    step = patches(shape.get("kernel", 3), shape.get("stride", 1), shape.get("pad", 1))
    out = step.out_shape((3, size, size))
    affine = Affine((5, *out[1:]), (Term("u", (step,), weight(5, out[0])),), bias(5))
    block = StateBlock("x", affine, phi)
    after = Affine((6, *out[1:]), (Term("x", (patches(3, 1, 1),), weight(6, 45, seed=1)),))
    return ImplicitModel(
        (Input("u", (3, size, size)),),
        (block,),
        (Output("y", after), Output("x2", Affine(affine.shape, (Term("x"),)))),
    )


@pytest.mark.parametrize("network", [residual_network, loop], ids=lambda f: f.__name__)
def test_hand_made_networks(network: Callable[[], ImplicitModel]) -> None:
    assert_kernels_agree(network())


@pytest.mark.parametrize(
    "phi",
    [
        Activation("identity"),
        Activation("relu"),
        Activation("leaky_relu", {"slope": 0.1}),
        Activation("leaky_relu", {"slope": -1.5}),
        Activation("clip", {"low": -0.5, "high": 1.0}),
        Activation("clip", {"low": -np.inf, "high": 0.25}),
        Activation("sigmoid"),
        Activation("tanh"),
    ],
    ids=lambda phi: f"{phi.name}{list(phi.attributes.values())}",
)
def test_every_phi_keeps_the_padding_of_the_next_convolution_zero(phi: Activation) -> None:
    assert_kernels_agree(convolution(phi), (1, 3, 17))


@pytest.mark.parametrize("size", [1, 2, 5, 8, 14])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), [(3, 1, 1), (3, 2, 1), (5, 2, 2), (2, 2, 0), (1, 1, 0), (5, 1, 2)]
)
def test_convolutions_of_any_size_stride_and_padding(size: int, kernel: int, stride: int, pad: int) -> None:
    if size + 2 * pad < kernel:
        pytest.skip("the kernel is larger than the padded image")
    model = convolution(Activation("relu"), size, kernel=kernel, stride=stride, pad=pad)
    assert_kernels_agree(model, (1, 2, 9, 16))


def test_strides_between_states_of_sizes_that_do_not_divide() -> None:
    relu = Activation("relu")
    first = Affine((4, 13, 11), (Term("u", (patches(3, 1, 1),), weight(4, 18)),), bias(4))
    step = Patches((3, 2), (2, 3), (2, 1), (1, 0), (2, 1))
    out = step.out_shape((4, 13, 11))
    second = Affine(
        (7, *out[1:]),
        (
            Term("a", (step,), weight(7, out[0], seed=1)),
            Term("a", (Patches((1, 1), (2, 3), (1, 1), (0, 0), (0, 0)),), weight(7, 4, seed=2)),
        )
        if out[1:] == Patches((1, 1), (2, 3), (1, 1), (0, 0), (0, 0)).out_shape((4, 13, 11))[1:]
        else (Term("a", (step,), weight(7, out[0], seed=1)),),
    )
    model = ImplicitModel(
        (Input("u", (2, 13, 11)),),
        (StateBlock("a", first, relu), StateBlock("b", second, relu)),
        (Output("y", Affine((3, *out[1:]), (Term("b", (patches(3, 1, 1),), weight(3, 63, seed=3)),))),),
    )
    assert_kernels_agree(model)


def test_depthwise_rows_and_convolutions_along_one_axis() -> None:
    relu = Activation("relu")
    kernels = np.zeros((6, 18), np.float32)
    for row in range(6):
        kernels[row, 3 * row : 3 * row + 3] = weight(1, 3, 1.0, row).toarray()
    along = Patches((3,), (1,), (1,), (1,), (1,))
    deep = Affine((6, 20), (Term("u", (along,), sparse.csr_array(kernels), groups=6),), bias(6))
    model = ImplicitModel(
        (Input("u", (6, 20)),),
        (StateBlock("x", deep, relu),),
        (
            Output(
                "y",
                Affine((4, 20), (Term("x", (along,), weight(4, 18)), Term("x", (), weight(4, 6, seed=1)))),
            ),
        ),
    )
    assert_kernels_agree(model)


def test_pooling_of_negative_states_ignores_the_padding() -> None:
    shape = (3, 6, 6)
    pool = Activation("max_pool", {**POOL, "kernel": (3, 3), "pads_begin": (1, 1), "pads_end": (1, 1)})
    pooled = StateBlock(
        "x", Affine(shape, (Term("u", (patches(3, 1, 1),), weight(3, 27)),), bias(3) - 50), pool
    )
    model = ImplicitModel((Input("u", shape),), (pooled,), (Output("y", Affine(pooled.shape, (Term("x"),))),))
    assert_kernels_agree(model)


def test_skip_connections_with_added_channels() -> None:
    relu = Activation("relu")
    first = StateBlock("a", Affine((4, 8, 8), (Term("u", (patches(3, 1, 1),), weight(4, 27)),)), relu)
    wider = Affine(
        (9, 8, 8), (Term("a", (patches(3, 1, 1),), weight(9, 36)), Term("a", (Pad((2, 0, 0), (3, 0, 0)),)))
    )
    model = ImplicitModel(
        (Input("u", (3, 8, 8)),),
        (first, StateBlock("b", wider, relu)),
        (Output("y", Affine((9, 8, 8), (Term("b"),))),),
    )
    assert_kernels_agree(model)


def test_rows_without_nonzeros_give_phi_of_their_bias() -> None:
    nothing = sparse.csr_array((5, 27), dtype=np.float32)
    affine = Affine((5, 4, 4), (Term("u", (patches(3, 1, 1),), nothing),), bias(5))
    model = ImplicitModel((Input("u", (3, 4, 4)),), (), (Output("y", affine),))
    assert_kernels_agree(model, (1, 5, 16))


def test_a_nan_stays_in_its_sample() -> None:
    model = residual_network()
    fed = inputs(model, 20)
    clean = Session(model, kernel="numba", threads=1).predict(fed)["scores"]
    fed["u"][3] = np.nan
    spoilt = Session(model, kernel="numba", threads=1).predict(fed)["scores"]
    assert np.isnan(spoilt[3]).all()
    others = np.arange(20) != 3
    np.testing.assert_array_equal(spoilt[others], clean[others])


NETWORKS = [
    *sorted((ROOT / "models").glob("*.onnx")),
    *sorted(SHARED.glob("*.onnx")),
    *sorted((SHARED / "onnx").glob("*.onnx")),
]


@pytest.mark.parametrize("path", NETWORKS, ids=lambda p: p.stem)
def test_trained_networks(path: Path) -> None:
    try:
        model = load_teacher(path).model
    except UnsupportedError:
        pytest.skip("the front end refuses this network")
    assert_kernels_agree(model)


def test_shared_networks_are_there() -> None:
    if not SHARED.exists():
        pytest.skip("../shared is absent: only the project's own networks were compared")


@pytest.mark.parametrize("size", [1, 4, 7, 13])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(1, 1, 0), (3, 1, 1), (3, 2, 1)])
def test_convolutions_of_many_channels(size: int, kernel: int, stride: int, pad: int) -> None:
    """Sums in phases, a skip connection beside them, and a convolution that reads their padding."""
    channels = 130
    relu, step = Activation("relu"), patches(kernel, stride, pad)
    shape = (channels, size, size)
    sums = Affine(shape, (Term("u", (patches(1, 1, 0),), weight(channels, 3, 0.6)),), bias(channels))
    out = step.out_shape(shape)
    again = [Term("a", (step,), weight(channels, out[0], 0.05, 1))]
    if stride == 1:
        again.append(Term("a"))
    second = Affine((channels, *out[1:]), tuple(again), bias(channels))
    after = Affine((5, *out[1:]), (Term("b", (patches(3, 1, 1),), weight(5, 9 * channels, 0.1, 2)),))
    model = ImplicitModel(
        (Input("u", (3, size, size)),),
        (StateBlock("a", sums, relu), StateBlock("b", second, relu)),
        (Output("y", after),),
    )
    assert_kernels_agree(model, (1, 2, 9))


@pytest.mark.parametrize("phi", ["relu", "identity", "max_pool"])
@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), [(9, 3, 2, 1), (12, 2, 2, 0), (7, 3, 1, 1)])
def test_max_pooling_of_states_and_of_sums_before_a_convolution(
    phi: str, size: int, kernel: int, stride: int, pad: int
) -> None:
    """Padding counts as nothing, also where states are below 0, and what is pooled is padded with zeros."""
    pool = {**POOL, "kernel": (kernel,) * 2, "strides": (stride,) * 2}
    pool |= {"pads_begin": (pad,) * 2, "pads_end": (pad,) * 2}
    own = patches(3, 1, 1)
    sums = Affine((5, size, size), (Term("u", (own,), weight(5, 27)),), bias(5))
    first = StateBlock("x", sums, Activation(phi, pool if phi == "max_pool" else {}))
    pooled = StateBlock("p", Affine(first.shape, (Term("x"),)), Activation("max_pool", pool))
    both = StateBlock("b", Affine(first.shape, (Term("x"), Term("x"))), Activation("max_pool", pool))
    outputs = [
        Output(f"y{name}", Affine((6, *block.shape[1:]), (Term(name, (own,), weight(6, 45, seed=1)),)))
        for name, block in (("p", pooled), ("b", both))
    ]
    model = ImplicitModel((Input("u", (3, size, size)),), (first, pooled, both), tuple(outputs))
    assert_kernels_agree(model, (1, 3, 17))


@pytest.mark.parametrize("size", [1, 5, 8])
@pytest.mark.parametrize("factor", ["value", "channel", "reversed"])
def test_products_of_values_and_with_a_factor_of_each_channel(size: int, factor: str) -> None:
    """Gates and squeeze-and-excite, before a convolution that reads their padding."""
    shape, own = (5, size, size), patches(3, 1, 1)
    x = StateBlock("x", Affine(shape, (Term("u", (own,), weight(5, 27)),), bias(5)), Activation("tanh"))
    sums = (Term("u", (own,), weight(5, 27, seed=1)),)
    if factor == "value":
        other = StateBlock("g", Affine(shape, sums, bias(5)), Activation("sigmoid"))
    else:
        mean = (Sum((1, 2)), Reshape((5, 1, 1)))
        other = StateBlock("g", Affine((5, 1, 1), (Term("x", mean),)), Activation("sigmoid"))
    parts, sources = [shape, other.shape], ["x", "g"]
    if factor == "reversed":
        parts, sources = parts[::-1], sources[::-1]
    sizes = [int(np.prod(part)) for part in parts]
    first = Term(sources[0], (Reshape((sizes[0],)), Pad((0,), (sizes[1],))))
    second = Term(sources[1], (Reshape((sizes[1],)), Pad((sizes[0],), (0,))))
    product = Activation("product", {"parts": tuple(parts)})
    both = StateBlock("p", Affine((sum(sizes),), (first, second)), product)
    after = Affine((6, size, size), (Term("p", (own,), weight(6, 45, seed=2)),))
    model = ImplicitModel(
        (Input("u", (3, size, size)),),
        (x, other, both),
        (Output("y", after), Output("p2", Affine(shape, (Term("p"),)))),
    )
    assert_kernels_agree(model, (1, 3, 16, 17))
