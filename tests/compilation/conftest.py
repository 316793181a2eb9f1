"""A package of its own with one small kernel, imported as by one process after the other."""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from numba.core import config

from sim_compress.compilation import folders, sources

NAME = "tiny_package_with_a_kernel"
KERNEL = f"""
from numba import types

from sim_compress.compilation import kernel
from {NAME}.factor import factor


@kernel
def scaled(number):
    return factor() * number


ENTRIES = {{scaled: (types.int64,)}}
"""
FACTOR = """
from sim_compress.compilation import part


@part
def factor():
    return {factor}
"""


@dataclass(frozen=True)
class Tiny:
    """The package's folder; `start` imports it as a new process would."""

    folder: Path
    start: Callable[[], Any]

    def write(self, factor: int) -> None:
        """Change what the kernel's part gives, in a file of its own."""
        (self.folder / "factor.py").write_text(FACTOR.format(factor=factor))

    @property
    def entries(self) -> list[Path]:
        """Files of compiled code beside the source."""
        return sorted(self.folder.glob("__pycache__/*.nbc"))


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Iterator[Tiny]:
    site = tmp_path / "site"
    package = site / NAME
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "scaling.py").write_text(KERNEL)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    user_cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(user_cache))

    def start() -> Any:
        _forget()
        importlib.invalidate_caches()
        return importlib.import_module(f"{NAME}.scaling").scaled

    tiny = Tiny(package, start)
    tiny.write(3)
    yield tiny
    _forget()


def _forget() -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == NAME]:
        del sys.modules[name]
    for remembered in (sources.stamp, sources._read, folders.folders):
        remembered.cache_clear()
