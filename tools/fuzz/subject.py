"""What is fuzzed: cases by number, each a spoilt file, and what reading it must not do."""

from importlib import import_module
from pathlib import Path
from random import Random
from typing import NamedTuple, Protocol

# Name on the command line -> module whose `make` gives the subject.
SUBJECTS = {"artifacts": "tools.fuzz.artifacts", "networks": "tools.fuzz.networks"}


class Case(NamedTuple):
    """A spoilt file.

    Attributes:
        kind: the way it was spoilt.
        data: its bytes.
        intact: those of the file it was made from.
    """

    kind: str
    data: bytes
    intact: bytes


class Subject(Protocol):
    """Files of one format."""

    def spoilt(self, rng: Random) -> Case:
        """A case from random numbers."""
        ...

    def judged(self, case: Case, file: Path, rng: Random) -> tuple[str, str]:
        """The outcome of a case, which lies in a file, and its detail; what is raised is a crash."""
        ...


def opened(name: str, files: tuple[Path, ...]) -> Subject:
    """The subject of a name, or of a module; files are intact ones, spoilt beside those that are made up."""
    return import_module(SUBJECTS.get(name, name)).make(files)


def generator(name: str, seed: int, case: int) -> Random:
    """The random numbers of one case, whatever cases are run beside it."""
    return Random(f"{name} {seed} {case}")
