"""numba's cache of compiled functions with files that are checked and keys that see all sources.

numba keeps an index beside its data. Two processes that write at once may give one name to the code of two
signatures, and a file that was cut short fails at every start. Here every entry is one file, named by its
signature and processor, that begins with what it was made from and a checksum.
"""

import hashlib
import logging
import pickle
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.serialize import dumps

from sim_compress.compilation.folders import Folders, folders
from sim_compress.compilation.messages import say_once
from sim_compress.compilation.sources import stamp

DIGEST = hashlib.sha256().digest_size
AGAIN = (
    "so compiled code is not kept and every process compiles it again: "
    "make room, or set NUMBA_CACHE_DIR to a folder that can be written"
)
# Held while a file is written: who ends its process from another thread takes it first.
WRITING = threading.Lock()


class PackageLocator(_CacheLocator):
    """One folder for all compiled code of a package; numba's own have one for every source file."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file = py_file
        self._module: str = py_func.__module__
        self.folders = folders(_package_folder(self._module, py_file))

    # numba declares no types.
    def get_cache_path(self) -> Any:
        return str(self.folders.writable or "")

    def get_source_stamp(self) -> Any:
        return stamp(self._module)

    def get_disambiguator(self) -> Any:
        return self._module

    def ensure_cache_path(self) -> None:
        """Nothing: the folder was made when it was chosen, and a failure to write is not an error."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> "PackageLocator":
        return cls(py_func, py_file)


class _Implementation(CompileResultCacheImpl):
    _locator_classes = [PackageLocator]  # noqa: RUF012 - as numba declares it


class KernelCache(FunctionCache):
    """The cache of one function."""

    _impl_class = _Implementation

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        locator = self._impl.locator
        if isinstance(locator, PackageLocator):
            self.folders = locator.folders
        else:
            # The user's choice of locators, in NUMBA_CACHE_LOCATOR_CLASSES.
            path = Path(locator.get_cache_path())
            self.folders = Folders((path,), path)
        name = f"{py_func.__module__}.{py_func.__qualname__}".replace("<", "").replace(">", "")
        self._cache_file = _Files(self.folders, name, py_func.__module__)
        self.sources_known = stamp(py_func.__module__) is not None

    @property
    def cache_path(self) -> str | None:
        """Where new code goes; None where there is no such folder."""
        return str(self.folders.writable) if self.folders.writable else None

    def file(self, sig: Any, target_context: Any) -> Path | None:
        """Where code for a signature would be written; None where it would not."""
        return self._cache_file.path(self._index_key(sig, target_context.codegen()))

    def holds(self, sig: Any, target_context: Any) -> bool:
        """Whether code for a signature was written by these sources."""
        return self._cache_file.holds(self._index_key(sig, target_context.codegen()))

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super()._load_overload(sig, target_context)
        except Exception as error:
            # Whole, but not what this numba can read.
            say_once(logging.DEBUG, f"compiled code of {self._name} is dropped: {error!r}")
            return None


class _Files:
    """The entries of one function."""

    def __init__(self, folders: Folders, name: str, module: str) -> None:
        self._folders, self._name, self._module = folders, name, module

    def path(self, key: Any) -> Path | None:
        """Where data under a key are written; None where they are not."""
        folder = self._folders.writable
        return None if folder is None or self._header(key) is None else folder / self._file_name(key)

    def holds(self, key: Any) -> bool:
        """Whether a file begins as one that was saved under a key; the rest of it is not read."""
        header = self._header(key)
        for folder in self._folders.readable:
            try:
                with (folder / self._file_name(key)).open("rb") as file:
                    if header is not None and file.read(DIGEST) == header:
                        return True
            except OSError:
                continue
        return False

    def load(self, key: Any) -> Any:
        """What was saved under a key; None where nothing was, where sources changed, or it is damaged."""
        header = self._header(key)
        if header is None:
            return None
        for folder in self._folders.readable:
            try:
                content = (folder / self._file_name(key)).read_bytes()
            except OSError:
                continue
            made_from, checksum, data = content[:DIGEST], content[DIGEST : 2 * DIGEST], content[2 * DIGEST :]
            if made_from == header and checksum == hashlib.sha256(data).digest():
                return pickle.loads(data)
        return None

    def save(self, key: Any, data: Any) -> None:
        """Keep data under a key, where a file can be written."""
        header, folder = self._header(key), self._folders.writable
        if header is None:
            return
        if folder is None:
            say_once(logging.WARNING, f"{self._folders.instead_of} cannot be written, {AGAIN}")
            return
        data = dumps(data)
        try:
            _write(folder / self._file_name(key), header + hashlib.sha256(data).digest() + data)
        except OSError as error:
            say_once(logging.WARNING, f"{folder} cannot be written ({error.strerror or error}), {AGAIN}")
        else:
            if self._folders.instead_of:
                text = f"{self._folders.instead_of} cannot be written: compiled code is kept in {folder}"
                say_once(logging.WARNING, text)

    def flush(self) -> None:
        """Forget all entries of the function."""
        if self._folders.writable:
            for file in self._folders.writable.glob(f"{self._name}-*.nbc"):
                file.unlink(missing_ok=True)

    def _file_name(self, key: Any) -> str:
        """One file for a signature and a processor: code from older sources is written over."""
        signature, processor, _ = key
        text = repr((signature, processor, sys.implementation.cache_tag))
        return f"{self._name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.nbc"

    def _header(self, key: Any) -> bytes | None:
        sources = stamp(self._module)
        if sources is None:
            return None
        versions = numba.__version__, llvmlite.__version__, sys.implementation.cache_tag
        return hashlib.sha256(repr((sources, versions, key)).encode()).digest()


def _write(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    with WRITING:
        try:
            with temporary.open("xb") as file:
                file.write(content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _package_folder(module: str, py_file: str) -> Path:
    """The folder of the outermost package of a module; that of its file where it is in none."""
    package = sys.modules.get(module.partition(".")[0])
    file = getattr(package, "__file__", None) if "." in module else None
    return Path(file or py_file).absolute().parent
