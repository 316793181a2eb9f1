"""What a user who waits for the compiler is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import pytest
from numba.core import event

from sim_compress.compilation import announcement, prepare
from tests.compilation.recording import recorded


@pytest.fixture
def at_once(monkeypatch):
    """Nobody waits before something is said."""
    monkeypatch.setattr(announcement, "NOTICE_AFTER", 0.001)
    monkeypatch.setattr(announcement, "AGAIN_AFTER", 0.001)


@pytest.fixture(autouse=True)
def alone():
    """Nothing of an earlier test is still to be said."""
    for thread in threading.enumerate():
        if thread.name == "sim-compress":
            thread.join()


@contextmanager
def compiling(kernel) -> Iterator[None]:
    """As numba says that it compiles."""
    with event.trigger_event("numba:compile", data={"dispatcher": kernel}):
        yield


def said(lines: list[str], number: int) -> list[str]:
    """The lines once there are so many."""
    waiting = threading.Event()
    for _ in range(10_000):
        if len(lines) >= number:
            break
        waiting.wait(0.001)
    return lines


@pytest.mark.usefixtures("at_once")
def test_a_user_who_waits_is_told_what_is_compiled_and_how_often_that_happens(tiny):
    kernel = tiny.start()
    with recorded() as lines, compiling(kernel):
        first, second, *_ = said(lines, 2)
    kept = tiny.folder / "__pycache__"
    assert first == f"compiling scaled (scaling) for this processor, only once: it is kept in {kept}"
    assert second.startswith("still compiling scaled (scaling): ")


@pytest.mark.usefixtures("at_once")
def test_parts_are_compiled_within_their_kernel(tiny):
    kernel = tiny.start()
    part = numba.njit(lambda: 3)
    with recorded() as lines, compiling(kernel), compiling(part), compiling(kernel):
        three = said(lines, 3)[:3]
    assert [line.startswith("compiling") for line in three] == [True, False, False]


@pytest.mark.usefixtures("at_once")
def test_of_several_kernels_it_says_how_far_it_is(tiny):
    kernel = tiny.start()

    class Slow:
        """A kernel that takes until something was said."""

        signatures = ()

        def compile(self, _: object) -> None:
            before = len(lines)
            with compiling(kernel):
                said(lines, before + 1)

        def disable_compile(self) -> None:
            pass

    with recorded() as lines:
        prepare({Slow(): (), Slow(): ()})
    begun = [line for line in lines if line.startswith("compiling")]
    assert ["(1 of 2)" in begun[0], "(2 of 2)" in begun[1], len(begun)] == [True, True, 2]


def test_what_takes_a_moment_is_not_announced(tiny):
    with recorded() as lines:
        assert tiny.start()(2) == 6
    assert lines == []


@pytest.mark.usefixtures("at_once")
def test_loading_compiled_code_and_the_functions_of_others_are_not_announced(tiny):
    assert tiny.start()(2) == 6
    with recorded() as lines:
        assert tiny.start()(2) == 6
        assert numba.njit(lambda number: number + 1)(2) == 3
    assert lines == []


@pytest.mark.usefixtures("at_once")
def test_after_a_failure_nothing_more_is_said(tiny):
    kernel = tiny.start()

    def fails() -> None:
        with compiling(kernel):
            said(lines, 1)
            raise KeyboardInterrupt

    with recorded() as lines:
        with pytest.raises(KeyboardInterrupt):
            fails()
        assert announcement.ANNOUNCEMENT._over.is_set()
        assert announcement.ANNOUNCEMENT._inside == []
