"""What compiled code is made of: a module and everything of its own package that it imports."""

import hashlib
import re
from functools import cache
from importlib.util import find_spec

# Imports where a module begins: those inside functions and under conditions are no part of compiled code.
IMPORT = re.compile(rb"^(?:import ([\w.]+)|from ([\w.]+) import (\([^)]*\)|.*))", re.MULTILINE)
NAME = re.compile(r"\w+")
CannotRead = (AttributeError, ImportError, OSError, ValueError)


@cache
def stamp(module: str) -> str | None:
    """Hash of the sources of a module and of all modules of its package that it imports, at any depth.

    numba itself looks at the file of the outermost function alone.

    Returns:
        None where a source cannot be read: then it cannot be known what is old.
    """
    found: set[str] = set()
    waiting = [module]
    try:
        while waiting:
            if (name := waiting.pop()) not in found:
                found.add(name)
                waiting += _read(name)[1]
        named = (name.encode() + _read(name)[0] for name in sorted(found))
        return hashlib.sha256(b"".join(named)).hexdigest()
    except CannotRead:
        return None


@cache
def _read(module: str) -> tuple[bytes, list[str]]:
    """Hash of a module's source, and the modules of its package that it imports."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"{module} has no file")
    # Loaders of files and of zip archives have it.
    source = spec.loader.get_data(spec.origin)  # type: ignore[union-attr]
    return hashlib.sha256(source).digest(), _imported(source, module.partition(".")[0])


def _imported(source: bytes, package: str) -> list[str]:
    """Modules of a package that a source imports."""
    modules: list[str] = []
    for match in IMPORT.finditer(source):
        whole, parent, names = (g.decode() if g else "" for g in match.groups())
        if (whole or parent).partition(".")[0] != package:
            continue
        modules.append(whole or parent)
        if parent and _is_package(parent):
            modules += [n for w in NAME.findall(names) if _exists(n := f"{parent}.{w}")]
    return modules


def _is_package(module: str) -> bool:
    spec = find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def _exists(module: str) -> bool:
    return find_spec(module) is not None
