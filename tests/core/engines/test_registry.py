"""Engines by name."""

import os
import sys

import pytest

from sim_compress.core.engines import available_cpus, engine, engine_names
from sim_compress.errors import InputError


def test_the_names_are_sorted():
    assert engine_names() == ("processes", "ray", "serial")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown engine 'threads'; known: processes, ray, serial"):
        engine("threads")


@pytest.mark.parametrize("name", engine_names())
def test_no_worker_at_all_is_refused(name):
    with pytest.raises(InputError, match="at least one worker, got 0"):
        engine(name, 0)


def test_serial_refuses_several_workers():
    with pytest.raises(InputError, match="'serial' has one worker, got 2: use 'processes'"):
        engine("serial", 2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which CPUs a process may use")
def test_cpus_are_counted_that_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert available_cpus() == len(allowed)
