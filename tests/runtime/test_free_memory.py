"""What is free: the least of what the machine has, a limit of the address space, and limits of containers."""

from pathlib import Path

import pytest

from sim_compress.runtime import free_memory

MEGABYTE = 2**20


@pytest.fixture
def system(tmp_path, monkeypatch) -> Path:
    """A machine with 8,000 MB available, and no control groups yet."""
    monkeypatch.setattr(free_memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(free_memory, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(free_memory.sys, "platform", "linux")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 9000000 kB\nMemAvailable: {8000 * 1024} kB\n")
    (tmp_path / "proc/self/status").write_text("VmSize: 500 kB\nVmRSS:\t  300 kB\n")
    return tmp_path


def second(folder: Path, limit: str, used: int, cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used * MEGABYTE}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache * MEGABYTE}\nactive_file 0\n")


def first(folder: Path, limit: int, used: int, cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used * MEGABYTE}\n")
    (folder / "memory.stat").write_text(
        f"cache 7\ntotal_inactive_file 0\ntotal_active_file {cache * MEGABYTE}\n"
    )


@pytest.mark.usefixtures("system")
def test_without_containers_it_is_what_the_machine_has():
    assert free_memory.available_memory() == 8000 * MEGABYTE
    assert free_memory.resident_memory() == 300 * 1024


def test_a_container_sees_its_own_limit_at_the_top(system):
    second(system / "cgroup", str(600 * MEGABYTE), 150, cache=50)
    assert free_memory.available_memory() == 500 * MEGABYTE


def test_the_limit_of_a_group_above_counts_too(system):
    (system / "proc/self/cgroup").write_text("0::/slice/job/step\n")
    second(system / "cgroup/slice/job/step", "max", 10)
    second(system / "cgroup/slice/job", str(900 * MEGABYTE), 100)
    second(system / "cgroup/slice", str(4000 * MEGABYTE), 100)
    assert free_memory.available_memory() == 800 * MEGABYTE


def test_the_first_version_has_other_names(system):
    (system / "proc/self/cgroup").write_text("4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n")
    first(system / "cgroup/memory", 9223372036854771712, 2000)
    first(system / "cgroup/memory/box", 300 * MEGABYTE, 260, cache=60)
    assert free_memory.available_memory() == 100 * MEGABYTE


def test_what_is_over_its_limit_leaves_nothing(system):
    second(system / "cgroup", str(100 * MEGABYTE), 150)
    assert free_memory.available_memory() == 0


@pytest.mark.parametrize("text", ["", "many", "-"])
def test_files_that_say_nothing_are_no_limit(system, text):
    second(system / "cgroup", "max", 1)
    (system / "cgroup/memory.current").write_text(text)
    assert free_memory.available_memory() == 8000 * MEGABYTE


def test_a_system_that_does_not_tell(system):
    (system / "proc/meminfo").unlink()
    (system / "proc/self/status").unlink()
    assert free_memory.available_memory() is None
    assert free_memory.resident_memory() is None


@pytest.mark.usefixtures("system")
def test_other_systems_are_asked_for_their_pages(monkeypatch):
    monkeypatch.setattr(free_memory.sys, "platform", "darwin")
    monkeypatch.setattr(free_memory.os, "sysconf_names", {"SC_PHYS_PAGES": 1})
    monkeypatch.setattr(free_memory.os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 16384}.__getitem__)
    assert free_memory.available_memory() == 16384 * 1000
