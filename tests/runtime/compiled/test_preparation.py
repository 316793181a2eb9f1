"""Where the compiled kernel is kept, and what is said while it is made."""

import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from sim_compress.runtime.compiled import preparation

PACKAGE = Path(__file__).parents[3] / "sim_compress"
CACHE_PATH = "from sim_compress.runtime.compiled import machine; print(machine.run.stats.cache_path)"


class Recorder(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.logged = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.logged.set()


class Entry:
    """A function that takes long to compile: until something was logged."""

    signatures = ()

    def __init__(self, logged: threading.Event, folder: str | None) -> None:
        self.stats = SimpleNamespace(cache_path=folder)
        self._logged = logged

    def compile(self, _: object) -> None:
        assert self._logged.wait(10)

    def disable_compile(self) -> None:
        pass


@pytest.mark.parametrize(
    ("folder", "told"), [("/some/folder", "only once, kept in /some/folder"), (None, "set NUMBA_CACHE_DIR")]
)
def test_a_user_who_waits_is_told_why(monkeypatch, folder, told):
    recorder = Recorder()
    entry = Entry(recorder.logged, folder)
    monkeypatch.setattr(preparation, "NOTICE_AFTER", 0.001)
    monkeypatch.setattr(preparation.LOGGER, "handlers", [recorder])
    preparation.prepare({entry: ()})
    record = recorder.records[0]
    assert record.levelno == logging.WARNING
    assert "compiling the numba kernel" in record.getMessage()
    assert told in record.getMessage()


@pytest.fixture
def installed(tmp_path):
    """A copy of the package whose folders for compiled code cannot be written, also not by root."""
    copy = tmp_path / "site-packages" / "sim_compress"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "runtime/compiled/__pycache__").write_text("a file where a folder would be")
    return copy.parent


def cache_path(site: Path, user_cache: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"XDG_CACHE_HOME": str(user_cache), "LOCALAPPDATA": str(user_cache)}
    command = [sys.executable, "-c", CACHE_PATH]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=site, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.skipif(sys.platform == "darwin", reason="the cache folder of macOS cannot be set")
def test_where_the_package_cannot_be_written_the_users_cache_is_used(installed, tmp_path):
    user_cache = tmp_path / "cache"
    assert Path(cache_path(installed, user_cache)).is_relative_to(user_cache)


@pytest.mark.skipif(sys.platform == "darwin", reason="the cache folder of macOS cannot be set")
def test_where_nothing_can_be_written_the_kernel_still_works(installed, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    assert cache_path(installed, blocked) == "None"
