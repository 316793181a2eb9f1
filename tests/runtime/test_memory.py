"""A batch that needs more memory than there is is refused before it is run, with the block that needs it."""

import numpy as np
import pytest

from sim_compress.activations import Activation
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, Input, Output, Pad, Slice, StateBlock, Term
from sim_compress.runtime import Session, memory
from sim_compress.runtime.memory import WorkingSet, working_set
from tests.networks import residual_network

KERNELS = ("scipy", "numba")
HUGE = 2**40


def padded(size: int) -> ImplicitModel:
    """One number, padded to many; four of them are read."""
    wide = StateBlock("wide", Affine((size,), (Term("u", (Pad((0,), (size - 1,)),)),)), Activation("relu"))
    cut = Affine((4,), (Term("wide", (Slice((0,), (4,), (1,)),)),))
    return ImplicitModel((Input("u", (1,)),), (wide,), (Output("y", cut),))


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_no_machine_holds_is_refused_with_its_block(kernel: str) -> None:
    with pytest.raises(InputError, match=r"a batch of 1 takes about \d+\.\d GB .* most of it for 'wide'"):
        Session(padded(HUGE), kernel=kernel).predict(np.ones((1, 1), np.float32))


def test_the_working_set_counts_z_the_state_and_the_longest_chain() -> None:
    # u, the state, z, and the padded array.
    assert working_set(padded(1000)) == WorkingSet(1 + 3 * 1000, "wide", 2 * 1000)


@pytest.mark.parametrize("kernel", KERNELS)
def test_as_much_as_there_is_may_be_taken(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, u = padded(2**16), np.ones((1, 1), np.float32)
    needed = working_set(model)
    size = memory.SAMPLE * needed.elements + (memory.TABLES * needed.own if kernel == "numba" else 0)
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: size)
    assert Session(model, kernel=kernel).predict(u)["y"][0, 0] == 1
    monkeypatch.setattr(memory, "available_memory", lambda: size - 1)
    with pytest.raises(InputError, match="are free"):
        Session(model, kernel=kernel).predict(u)


@pytest.mark.parametrize("kernel", KERNELS)
def test_where_the_system_does_not_tell_nothing_is_refused(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    assert Session(padded(2**10), kernel=kernel).predict(np.ones((1, 1), np.float32))["y"][0, 0] == 1


def test_an_allocation_that_fails_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(residual_network(), kernel="scipy")
    session.predict(np.zeros((1, 2, 6, 6), np.float32))

    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(session._made, "evaluate", fail)
    with pytest.raises(InputError, match="not enough memory for 3 samples"):
        session.predict(np.zeros((3, 2, 6, 6), np.float32))


def test_samples_of_many_states_come_in_chunks_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    model, u = residual_network(), np.random.default_rng(0).standard_normal((7, 2, 6, 6)).astype(np.float32)
    expected = Session(model, kernel="scipy").predict(u)
    monkeypatch.setattr("sim_compress.runtime.reference.LARGEST", 3 * working_set(model).elements)
    for name, y in Session(model, kernel="scipy").predict(u).items():
        np.testing.assert_allclose(y, expected[name], rtol=1e-5, atol=1e-6)


def test_this_machine_tells_how_much_there_is() -> None:
    free = memory.available_memory()
    assert free is None or free > 2**20
