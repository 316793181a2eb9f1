"""Engines by name."""

import pytest

from sim_compress.core.engines import engine, engine_names
from sim_compress.errors import InputError


def test_the_default_comes_first():
    assert engine_names() == ("threads", "processes", "ray")


@pytest.mark.parametrize("name", ["serial", "ray:", "", "Threads"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match=f"unknown engine '{name}'; known: threads, processes, ray, ray://"):
        engine(name)


@pytest.mark.parametrize("name", [*engine_names(), "ray://127.0.0.1:1"])
def test_no_worker_at_all_is_refused(name):
    with pytest.raises(InputError, match="at least one worker, got 0"):
        engine(name, 0)
