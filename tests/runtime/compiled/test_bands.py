"""Images in bands for several threads: the same bits as on one thread, the outputs of the scipy kernel."""

import numpy as np
import pytest
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.model import Affine, ImplicitModel, Input, LinearMap, Output, Patches, StateBlock, Term
from sim_compress.runtime import Session, Tolerance
from sim_compress.runtime.compiled.code.operations import Halo
from sim_compress.runtime.compiled.evaluator import CompiledEvaluator
from sim_compress.runtime.compiled.program.arena import Arena, Call
from sim_compress.runtime.compiled.program.lowering import Lowering
from sim_compress.runtime.compiled.threads.gate import left_to_readers
from sim_compress.runtime.compiled.threads.team import Team
from tests.networks import bias, loop, patches, residual_network, weight

WIDTH, TILE = 16, 6
# Sums of some hundred products in float32, in another order; relative to the largest output.
ROUNDING = 2e-5
# Calls in which helpers come late, leave and come again.
CALLS = 30


def inputs(model: ImplicitModel, samples: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(samples)
    return {i.name: rng.standard_normal((samples, *i.shape)).astype(np.float32) for i in model.inputs}


def assert_same_for_all_threads(model: ImplicitModel) -> None:
    tolerance = Tolerance(residual=1e-6)
    reference, alone, *together = (
        Session(model, tolerance, *how) for how in [("scipy", 1), *(("numba", t) for t in range(1, 5))]
    )
    for samples in (1, 2, 3, 4, 8):
        fed = inputs(model, samples)
        expected, single = reference.predict(fed), alone.predict(fed)
        for name, y in expected.items():
            np.testing.assert_allclose(single[name], y, rtol=0, atol=ROUNDING * np.abs(y).max())
            for session in together:
                np.testing.assert_array_equal(session.predict(fed)[name], single[name])


def network(
    first: LinearMap, size: tuple[int, int], phi: Activation, second: LinearMap | None = None
) -> ImplicitModel:
    """A convolution with a state that further ones read, with a shift and without."""
    affine = Affine((6, *size), (Term("u", (patches(3, 1, 1),), weight(6, 27)),), bias(6))
    out = first.out_shape((6, *size))
    then = Affine((9, *out[1:]), (Term("a", (first,), weight(9, out[0], seed=1)),), bias(9))
    last = second or patches(3, 1, 1)
    shape = last.out_shape((9, *out[1:]))
    return ImplicitModel(
        (Input("u", (3, *size)),),
        (StateBlock("a", affine, phi), StateBlock("b", then, phi)),
        (
            Output("y", Affine((4, *shape[1:]), (Term("b", (last,), weight(4, shape[0], seed=2)),))),
            Output("state", Affine(then.shape, (Term("b"),))),
        ),
    )


@pytest.mark.parametrize("size", [(1, 9), (7, 1), (5, 3), (9, 13), (16, 16)], ids=str)
@pytest.mark.parametrize(
    "step",
    [
        Patches((3, 3), (1, 1), (1, 1), (1, 1), (1, 1)),
        Patches((1, 1), (1, 1), (1, 1), (0, 0), (0, 0)),
        Patches((3, 3), (2, 2), (1, 1), (1, 1), (1, 1)),
        Patches((1, 1), (2, 2), (1, 1), (0, 0), (0, 0)),
        Patches((3, 3), (1, 1), (2, 2), (2, 2), (2, 2)),
        Patches((3, 2), (2, 3), (1, 1), (1, 0), (2, 1)),
        Patches((5, 5), (1, 1), (1, 1), (2, 2), (2, 2)),
    ],
    ids=lambda p: f"kernel{p.kernel}strides{p.strides}dilations{p.dilations}",
)
def test_convolutions_of_odd_sizes(size: tuple[int, int], step: Patches) -> None:
    assert_same_for_all_threads(network(step, size, Activation("relu")))


def test_states_whose_phi_is_not_fused() -> None:
    assert_same_for_all_threads(network(patches(3, 1, 1), (9, 7), Activation("sigmoid")))


def test_a_stride_after_a_shift() -> None:
    assert_same_for_all_threads(network(patches(3, 1, 1), (13, 11), Activation("relu"), patches(3, 2, 1)))


def test_depthwise_rows() -> None:
    kernels = np.zeros((6, 54), np.float32)
    for row in range(6):
        kernels[row, 9 * row : 9 * row + 9] = weight(1, 9, 1.0, row).toarray()
    model = network(patches(3, 1, 1), (10, 9), Activation("relu"))
    deep = Affine((6, 10, 9), (Term("a", (patches(3, 1, 1),), sparse.csr_array(kernels), groups=6),), bias(6))
    outputs = (*model.outputs, Output("d", deep))
    assert_same_for_all_threads(ImplicitModel(model.inputs, model.blocks, outputs))


@pytest.mark.parametrize("make", [residual_network, loop], ids=lambda f: f.__name__)
def test_hand_made_networks(make) -> None:
    assert_same_for_all_threads(make())


def test_loops_over_images() -> None:
    size = (9, 10)
    around = Term("x", (patches(3, 1, 1),), sparse.csr_array(0.05 * weight(4, 36, seed=3)))
    affine = Affine((4, *size), (around, Term("u", (patches(3, 1, 1),), weight(4, 27))), bias(4))
    model = ImplicitModel(
        (Input("u", (3, *size)),),
        (StateBlock("x", affine, Activation("relu")),),
        (Output("y", Affine((4, *size), (Term("x"),))),),
    )
    assert_same_for_all_threads(model)


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_helpers_that_come_and_go_change_no_bit(threads: int) -> None:
    model = network(patches(3, 1, 1), (16, 16), Activation("relu"))
    session, fed = Session(model, kernel="numba", threads=threads), inputs(model, 1)
    expected = Session(model, kernel="numba", threads=1).predict(fed)
    for _ in range(CALLS):
        np.testing.assert_array_equal(session.predict(fed)["y"], expected["y"])


@pytest.mark.parametrize("present", [0, 1])
def test_whoever_takes_over_a_share_fetches_its_halo(present: int) -> None:
    """By the leader alone and with a helper; in the second image only one band has pixels."""
    for size, left in (((32, 32), True), ((3, 1), False)):
        model = network(patches(3, 1, 1), size, Activation("relu"))
        session, fed = Session(model, kernel="numba", threads=2), inputs(model, 1)
        evaluator = session._evaluator()
        assert isinstance(evaluator, CompiledEvaluator)
        arena = Arena(evaluator._programs(1, 2)[0], 2)
        assert left == any(left_to_readers(arena._gate, i) for i in range(len(arena.program.tables.ops)))
        expected = Session(model, kernel="numba", threads=1).predict(fed)
        found = {name: np.zeros((1, y.size), np.float32) for name, y in expected.items()}
        rows = {name: u.reshape(1, -1) for name, u in fed.items()}
        for _ in range(CALLS):
            arena.evaluate(Call(rows, found, Tolerance(), Team(present)))
            for name, y in expected.items():
                np.testing.assert_array_equal(found[name], y.reshape(1, -1))


@pytest.mark.parametrize(
    ("samples", "threads", "bands"), [(1, 1, 1), (1, 2, 2), (1, 3, 2), (3, 4, 4), (9, 4, 1)]
)
def test_a_program_has_a_band_for_every_thread_where_lanes_are_free(samples, threads, bands) -> None:
    model = network(patches(3, 1, 1), (16, 16), Activation("relu"))
    program = Lowering(model, WIDTH, TILE).program(samples, threads)
    assert program.lanes.bands == bands
    # Only bands fetch halos in an operation of their own.
    assert (program.tables.ops[:, 0] == Halo.CODE).any() == (bands > 1)


def test_bands_do_not_overlap_where_the_first_guess_of_their_distance_was_too_small() -> None:
    """An output of many more channels than all states."""
    affine = Affine((2, 8, 8), (Term("u", (patches(3, 1, 1),), weight(2, 9)),))
    wide = Affine((40, 8, 8), (Term("x", (patches(3, 1, 1),), weight(40, 18)),))
    model = ImplicitModel(
        (Input("u", (1, 8, 8)),), (StateBlock("x", affine, Activation("relu")),), (Output("y", wide),)
    )
    assert_same_for_all_threads(model)
