"""Fresh interpreters with a copy of the package's compilation part and one small kernel."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "sim_compress"
TRIPLED = '''"""A kernel with a part in a file of its own."""

from sim_compress.compilation import kernel
from sim_compress.tiny.factor import factor


@kernel
def scaled(number):
    """So many times as much."""
    return factor() * number
'''
FACTOR = '''"""What a number is multiplied by."""

from sim_compress.compilation import part


@part
def factor():
    return {factor}
'''
# Prints the kernel's answer, whether it came from disk, and where code is kept.
CALL = """
from sim_compress.tiny.scaling import scaled
answer, stats = scaled(14), scaled.stats
print(answer, bool(stats.cache_hits), stats.cache_path)
"""


def tiny_package(site: Path) -> Path:
    """A package with the real compilation part and a kernel that triples; its folder."""
    package = site / "sim_compress"
    shutil.copytree(PACKAGE / "compilation", package / "compilation", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "errors.py", package)
    (package / "__init__.py").write_text("")
    (package / "tiny").mkdir()
    (package / "tiny" / "__init__.py").write_text("")
    (package / "tiny" / "scaling.py").write_text(TRIPLED)
    write_factor(package, 3)
    return package


def write_factor(package: Path, factor: int) -> None:
    """Change what the kernel's part gives."""
    (package / "tiny" / "factor.py").write_text(FACTOR.format(factor=factor))


def environment(site: Path, changes: Mapping[str, str | None] = {}) -> dict[str, str]:
    """That of a process that finds the package at a place; a value of None takes a variable away."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    wanted = kept | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"} | changes
    return {k: v for k, v in wanted.items() if v is not None}
