"""What a run folder says of itself: of which run it is, and what each of its files holds."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sim_compress.compression.resume.kept import DAMAGED
from sim_compress.errors import InputError

MANIFEST, LOCK, RESULT = "manifest.json", "lock", ".safetensors"
TEMPORARY = ".sim-compress-"
# Of the manifest, and of what results are written as.
FORMAT = 1
AGAIN = "remove it, choose another output, or start over with --fresh (fresh=True)"


@dataclass(frozen=True)
class Entry:
    """One result.

    Attributes:
        file: its name in the folder.
        fingerprint: of all that it depends on.
        base: of what it has in common with results that can go on from it; empty where none can.
        digest: of its arrays and JSON values.
    """

    file: str
    fingerprint: str
    base: str
    digest: str


@dataclass
class Manifest:
    """The results of a folder.

    Attributes:
        run: the network, its inputs and the versions that decide every byte, as JSON.
        kept: whether the folder stays when the run is complete.
        written: results so far, those that are gone again among them.
        entries: key -> result.
    """

    run: Mapping[str, Any]
    kept: bool = False
    written: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)

    def text(self) -> bytes:
        """As it is written."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True).encode()

    @classmethod
    def read(cls, folder: Path, run: Mapping[str, Any]) -> "Manifest":
        """That of a folder, which must be of this run.

        Raises:
            InputError: it is of another run, or damaged.
        """
        try:
            found = json.loads((folder / MANIFEST).read_bytes())
            version, of = found["format"], dict(found["run"])
            entries = {key: Entry(**entry) for key, entry in dict(found["entries"]).items()}
            manifest = cls(of, bool(found["kept"]), int(found["written"]), entries)
        except (*DAMAGED, AttributeError) as error:
            raise damaged(folder, f"{MANIFEST} cannot be read") from error
        if version != FORMAT:
            raise InputError(f"{folder}: is of another version: {AGAIN}")
        for name, own in run.items():
            if of.get(name) != own:
                raise InputError(
                    f"{folder}: holds a run with another {name} ({of.get(name)}, here {own}): {AGAIN}"
                )
        for entry in entries.values():
            if not is_result(entry.file) or Path(entry.file).name != entry.file:
                raise damaged(folder, f"{MANIFEST} names {entry.file!r}")
            if not (folder / entry.file).is_file():
                raise damaged(folder, f"{entry.file} is missing")
        return manifest


def damaged(folder: Path, what: str) -> InputError:
    """The error of a folder in which something is wrong."""
    return InputError(f"{folder}: the run folder is damaged: {what}: {AGAIN}")


def is_result(name: object) -> bool:
    """Whether a result's file has such a name."""
    return isinstance(name, str) and name.endswith(RESULT)


def is_ours(name: str) -> bool:
    """Whether a run folder has files of such a name."""
    return name in (MANIFEST, LOCK) or name.startswith(TEMPORARY) or is_result(name)
