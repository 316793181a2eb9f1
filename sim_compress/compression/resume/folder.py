"""A folder of results with a manifest that says of which run they are.

Every result is a safetensors file of its own, written to a temporary file and renamed; then the manifest
names it, in the same way; then the file that it takes the place of is removed. So the manifest names whole
files alone, however the process ends.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from sim_compress.artifact import replace_files
from sim_compress.compression.resume.kept import DAMAGED, Kept
from sim_compress.compression.resume.lock import Lock
from sim_compress.compression.resume.manifest import (
    AGAIN,
    LOCK,
    MANIFEST,
    RESULT,
    Entry,
    Manifest,
    damaged,
    is_ours,
)
from sim_compress.errors import InputError

LOGGER = logging.getLogger("sim_compress")
# Work in seconds that is written once there is so much: what took less is as soon done again. All results
# of the shipped ResNet-20 at 40 % are 26 MB; keeping them takes 0.08 of its 49 processor seconds.
LEAST = 1.0


class Keeper(Protocol):
    """Where results of steps are kept."""

    def get(self, key: str, fingerprint: str, /) -> Kept | None:
        """What was kept under a key, where it is of this fingerprint."""
        ...

    def near(self, key: str, base: str, /) -> Kept | None:
        """What was kept under a key by a step with the same inputs, whatever else it depends on."""
        ...

    def put(self, key: str, fingerprint: str, base: str, kept: Kept, seconds: float, /) -> None:
        """Keep a result that took so long, if that is worth it, in place of what the key has."""
        ...

    def drop(self, prefix: str, /) -> None:
        """Forget everything whose key begins so."""
        ...

    def say(self, text: str, /) -> None:
        """Tell the user how the run goes on."""
        ...


class _Nowhere:
    """Keeps nothing."""

    def get(self, _key: str, _fingerprint: str, /) -> None:
        return None

    def near(self, _key: str, _base: str, /) -> None:
        return None

    def put(self, _key: str, _fingerprint: str, _base: str, _kept: Kept, _seconds: float, /) -> None:
        return None

    def drop(self, _prefix: str, /) -> None:
        return None

    def say(self, _text: str, /) -> None:
        return None


NOWHERE = _Nowhere()


class RunFolder:
    """A run folder; a context that holds it against other processes.

    The folder is made when the first result is written.

    Args:
        path: of the folder.
        fresh: start over: what the folder holds is removed.
        least: seconds of work that are worth a file.

    Attributes:
        told: how the run went on from the folder, in sentences.
    """

    def __init__(self, path: Path, *, fresh: bool = False, least: float | None = None) -> None:
        self.path = path
        self.told: list[str] = []
        self._fresh, self._least = fresh, LEAST if least is None else least
        self._lock = Lock(path / LOCK)
        self._manifest = Manifest({})
        self._waiting: dict[str, tuple[str, str, Kept]] = {}
        self._seconds, self._usable = 0.0, True

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def results(self) -> int:
        """How many are written."""
        return len(self._manifest.entries)

    def open(self, run: Mapping[str, Any]) -> None:
        """Read what is there, which must be of this run.

        Args:
            run: the network, its inputs and the versions that decide every byte, as JSON.

        Raises:
            InputError: the folder is another program's, of another run, damaged or in use; it is left alone.
        """
        self._manifest = Manifest(run)
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise InputError(f"{self.path}: expected a run folder, found a file: {AGAIN}")
        found = {path.name for path in self.path.iterdir()}
        if not found:
            return
        # A process that was killed before its first manifest leaves a lock and perhaps a result.
        if MANIFEST not in found and not (LOCK in found and all(map(is_ours, found))):
            raise InputError(
                f"{self.path}: expected a run folder, found no {MANIFEST} in it: remove the folder or choose "
                "another output"
            )
        self._lock.acquire()
        if self._fresh or MANIFEST not in found:
            self._empty()
            return
        self._manifest = Manifest.read(self.path, run)
        self._tidy()

    def get(self, key: str, fingerprint: str) -> Kept | None:
        entry = self._manifest.entries.get(key)
        return None if entry is None or entry.fingerprint != fingerprint else self._load(entry)

    def near(self, key: str, base: str) -> Kept | None:
        entry = self._manifest.entries.get(key)
        return None if entry is None or entry.base != base else self._load(entry)

    def put(self, key: str, fingerprint: str, base: str, kept: Kept, seconds: float) -> None:
        if not self._usable:
            return
        self._waiting[key] = fingerprint, base, kept
        self._seconds += seconds
        if self._seconds >= self._least:
            self._flush()

    def drop(self, prefix: str) -> None:
        self._waiting = {key: w for key, w in self._waiting.items() if not key.startswith(prefix)}
        entries = self._manifest.entries
        gone = [key for key in entries if key.startswith(prefix)]
        if gone and self._usable:
            files = [entries.pop(key).file for key in gone]
            self._attempt({}, files)

    def say(self, text: str) -> None:
        self.told.append(text)
        LOGGER.warning(text)

    def keep(self) -> None:
        """Leave the folder where it is when the run is complete, and write what waits."""
        self._manifest.kept = True
        self._flush(whole=True)

    def complete(self) -> None:
        """Remove the folder, as its run is complete, unless it is to be kept."""
        if self._manifest.kept or not self._lock.held:
            return
        self._empty()
        self._lock.release()
        try:
            (self.path / LOCK).unlink(missing_ok=True)
            self.path.rmdir()
        # Somebody has put a file of their own there.
        except OSError:
            pass

    def _flush(self, whole: bool = False) -> None:
        """Write what waits, then the manifest."""
        waiting, self._waiting, self._seconds = self._waiting, {}, 0.0
        if not self._usable or not (waiting or whole):
            return
        manifest, contents, replaced = self._manifest, dict[Path, Kept](), list[str]()
        for key, (fingerprint, base, kept) in waiting.items():
            manifest.written += 1
            file = f"{key}.{manifest.written}{RESULT}"
            if key in manifest.entries:
                replaced.append(manifest.entries[key].file)
            contents[self.path / file] = kept
            manifest.entries[key] = Entry(file, fingerprint, base, kept.digest)
        self._attempt(contents, replaced)

    def _attempt(self, contents: Mapping[Path, Kept], replaced: list[str]) -> None:
        """Files, then the manifest; where they cannot be written the run goes on without them."""
        began = time.perf_counter()
        try:
            self.path.mkdir(exist_ok=True)
            self._lock.acquire()
            for path, kept in contents.items():
                replace_files({path: kept.save})
            replace_files({self.path / MANIFEST: self._manifest.text()})
            for file in replaced:
                (self.path / file).unlink(missing_ok=True)
        except (OSError, InputError) as error:
            self._usable = False
            self._manifest.entries.clear()
            self.say(f"{self.path}: results of steps are no longer kept, the run goes on without ({error})")
        LOGGER.debug("%s: %d results in %.2f s", self.path, len(contents), time.perf_counter() - began)

    def _load(self, entry: Entry) -> Kept:
        try:
            kept = Kept.load(self.path / entry.file)
        except DAMAGED as error:
            raise damaged(self.path, f"{entry.file} cannot be read") from error
        if kept.digest != entry.digest:
            raise damaged(self.path, f"{entry.file} has changed")
        return kept

    def _tidy(self) -> None:
        """Remove files that a process left which was killed between two renames."""
        stays = {MANIFEST, LOCK, *(entry.file for entry in self._manifest.entries.values())}
        for path in self.path.iterdir():
            if is_ours(path.name) and path.name not in stays:
                path.unlink(missing_ok=True)

    def _empty(self) -> None:
        """Remove the files of run folders, and no others: first what says that there are any."""
        (self.path / MANIFEST).unlink(missing_ok=True)
        for path in self.path.iterdir():
            if is_ours(path.name) and path.name != LOCK:
                path.unlink(missing_ok=True)
