"""Sessions: called like a function or like onnxruntime, inputs checked, no unconverged answer."""

from dataclasses import replace

import numpy as np
import pytest

from sim_compress.errors import ConvergenceError, DataError, InputError
from sim_compress.model import Input
from sim_compress.runtime import Session, Tolerance, check_inputs, schedule
from sim_compress.runtime.compiled.code.vectors import WIDTH
from sim_compress.runtime.node_arg import NodeArg
from sim_compress.runtime.reference import CHUNK
from tests.networks import loop, residual_network


def inputs(samples: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((samples, 2, 6, 6)).astype(np.float32)


def test_one_output_comes_as_an_array_and_several_as_a_dict():
    assert isinstance(Session(loop())(np.zeros((2, 3))), np.ndarray)
    assert set(Session(residual_network())(inputs(2))) == {"scores", "peak"}


def test_run_is_the_call_of_onnxruntime():
    session = Session(residual_network())
    scores, peak = session.run(None, {"u": inputs(3)})
    assert (scores.shape, peak.shape) == ((3, 3), (3, 6, 1, 1))
    np.testing.assert_array_equal(session.run(["scores"], {"u": inputs(3)})[0], scores)
    with pytest.raises(DataError, match="no output 'logits'"):
        session.run(["logits"], {"u": inputs(3)})


def test_inputs_and_outputs_are_described_as_by_onnxruntime():
    session = Session(residual_network())
    assert session.get_inputs() == [NodeArg("u", ("samples", 2, 6, 6), "tensor(float)")]
    assert [(o.name, o.shape, o.type) for o in session.get_outputs()] == [
        ("scores", ("samples", 3), "tensor(float)"),
        ("peak", ("samples", 6, 1, 1), "tensor(float)"),
    ]


@pytest.mark.parametrize(
    ("dtype", "name"), [("float64", "double"), ("float16", "float16"), ("int64", "int64"), ("bool", "bool")]
)
def test_types_of_inputs_have_their_onnx_names(dtype, name):
    model = replace(loop(), inputs=(Input("u", (3,), dtype),))
    assert Session(model).get_inputs()[0].type == f"tensor({name})"


@pytest.mark.parametrize("samples", [0, 1, CHUNK, CHUNK + 1])
def test_a_sample_does_not_depend_on_its_batch(samples):
    session = Session(residual_network(), kernel="scipy")
    everything = session(inputs(CHUNK + 1))
    part = session(inputs(CHUNK + 1)[:samples])
    np.testing.assert_allclose(part["scores"], everything["scores"][:samples], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"v": np.zeros((1, 3))}, r"expected the inputs \['u'\]"),
        (np.zeros((1, 4)), r"expected shape \('samples', 3\), got \(1, 4\)"),
        (np.zeros(3), "expected shape"),
        (np.array([["a", "b", "c"]]), "dtype <U1"),
        (np.zeros((1, 3), complex), "complex"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(bad, message):
    with pytest.raises(DataError, match=message):
        Session(loop())(bad)


def test_numbers_of_other_dtypes_give_the_same_outputs():
    session, pixels = Session(loop()), np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(session(pixels), session(pixels.astype(np.float64)))


@pytest.mark.parametrize("kernel", ["numba", "scipy"])
def test_a_sample_that_does_not_converge_is_an_error_or_marked(kernel):
    session = Session(loop(0.9), Tolerance(residual=1e-7, iterations=3), kernel=kernel)
    with pytest.raises(ConvergenceError, match="4 of 4 samples"):
        session(np.ones((4, 3)))
    solution = session.solve(np.ones((4, 3)))
    assert solution.convergence is not None
    assert not solution.convergence.converged.any()
    assert solution.outputs["y"].shape == (4, 2)


def test_without_loops_there_is_nothing_to_converge():
    assert Session(residual_network()).solve(inputs(2)).convergence is None


def test_the_kernel_in_use_can_be_asked():
    assert Session(loop()).kernel == "numba"
    assert Session(loop(), kernel="scipy").kernel == "scipy"


def test_without_numba_the_default_is_scipy_and_numba_is_refused(monkeypatch):
    monkeypatch.setattr("sim_compress.runtime.kernel.find_spec", lambda _: None)
    assert Session(loop()).kernel == "scipy"
    with pytest.raises(InputError, match="pip install numba"):
        Session(loop(), kernel="numba")


@pytest.mark.parametrize(
    ("arguments", "message"), [({"kernel": "cuda"}, "unknown kernel 'cuda'"), ({"threads": 0}, "at least 1")]
)
def test_kernels_and_threads_that_cannot_be_had_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Session(loop(), **arguments)


def test_stages_follow_the_graph_whatever_the_order_of_blocks():
    model = residual_network()
    shuffled = replace(model, blocks=model.blocks[::-1])
    assert [s.blocks[0].name for s in schedule(shuffled)][:2] == ["stem", "block"]
    np.testing.assert_array_equal(Session(shuffled)(inputs(2))["scores"], Session(model)(inputs(2))["scores"])


def test_states_are_dead_once_and_only_when_nothing_reads_them():
    model = residual_network()
    stages = schedule(model)
    dead = [name for stage in stages for name in stage.dead]
    assert sorted(dead) == ["block", "stem"]
    assert [s.cyclic for s in schedule(loop())] == [True]


def test_arrays_that_fit_are_taken_as_they_are():
    session, u = Session(residual_network()), inputs(3)
    expected = session.model.inputs
    assert check_inputs(expected, {"u": u})["u"] is check_inputs(expected, u)["u"] is u
    # Samples of one chunk are the same to the bit in any order.
    few = inputs(WIDTH // 2)
    backwards = session({"u": few[::-1]})
    for name, outputs in session(np.asfortranarray(few)).items():
        np.testing.assert_array_equal(outputs[::-1], backwards[name])
    for strided in (np.asfortranarray(u), u[::-1]):
        plain = session(np.ascontiguousarray(strided))
        for name, outputs in session({"u": strided}).items():
            np.testing.assert_array_equal(outputs, plain[name])


def test_arrays_that_fit_must_also_fit_each_other():
    expected = (Input("a", (2,)), Input("b", (2,)))
    a = np.zeros((3, 2), np.float32)
    with pytest.raises(DataError, match="differ in their number of samples"):
        check_inputs(expected, {"a": a, "b": a[:2]})
    with pytest.raises(DataError, match="expected the inputs"):
        check_inputs(expected, {"a": a})
    with pytest.raises(DataError, match="expected the inputs"):
        check_inputs(expected, {"a": a, "b": a, "c": a})
    with pytest.raises(DataError, match="pass a dict"):
        check_inputs(expected, a)
