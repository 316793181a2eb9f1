"""How much memory this process has, and may still take: of the machine, its address space, its containers."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
# Files of a limit and of what is used, and the keys of page cache that can be given back, in both versions.
SECOND = ("memory.max", "memory.current", ("inactive_file", "active_file"))
FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
Files = tuple[str, str, tuple[str, ...]]


def available_memory() -> int | None:
    """Bytes that this process may still take, None where the system does not tell."""
    found = [_machine(), _address_space(), *_groups()]
    return min((free for free in found if free is not None), default=None)


def resident_memory() -> int | None:
    """Bytes of this process that are in memory now, None where the system does not tell."""
    return _entry(PROC / "self/status", "VmRSS")


def _entry(file: Path, key: str) -> int | None:
    """An entry in kB of a file of /proc, in bytes."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), None)


def _machine() -> int | None:
    """What Linux says is available; elsewhere all pages that are free, or on macOS, which compresses, all."""
    if sys.platform == "linux":
        return _entry(PROC / "meminfo", "MemAvailable")
    for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        if name in getattr(os, "sysconf_names", {}):
            return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    return None


def _address_space() -> int | None:
    """What a limit on this process leaves."""
    try:
        import resource
    except ModuleNotFoundError:
        return None
    limit, used = resource.getrlimit(resource.RLIMIT_AS)[0], _entry(PROC / "self/status", "VmSize")
    return None if limit == resource.RLIM_INFINITY or used is None else max(0, limit - used)


def _groups() -> Iterator[int | None]:
    """What the limits of containers leave: those of this process's control group and of all above it.

    Inside a container the folder at the top is often that of the container itself.
    """
    try:
        lines = (PROC / "self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    yield from (_left(top, files) for top, files in ((GROUPS, SECOND), (GROUPS / "memory", FIRST)))
    for line in lines:
        _, controllers, name = line.split(":", 2)
        first = "memory" in controllers.split(",")
        if first or not controllers:
            top, files = (GROUPS / "memory", FIRST) if first else (GROUPS, SECOND)
            folder = Path(name.lstrip("/"))
            yield from (_left(top / one, files) for one in (folder, *folder.parents))


def _left(folder: Path, files: Files) -> int | None:
    """What the limit of one control group leaves; its page cache can be given back."""
    limit_file, used_file, keys = files
    try:
        limit = (folder / limit_file).read_text().strip()
        used = int((folder / used_file).read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    entries = dict(line.split(maxsplit=1) for line in lines)
    return max(0, int(limit) - used + sum(int(entries.get(key, 0)) for key in keys))
