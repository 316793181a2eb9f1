"""A subject for the test of the tool that watches: every case ends in its own way."""

import os
import signal
import warnings
from pathlib import Path
from random import Random

import numpy as np

from sim_compress.errors import InputError
from tools.fuzz.outcome import AGREED, DISAGREED
from tools.fuzz.subject import Case, generator


class Endings:
    """Cases in the order of the ends below."""

    def spoilt(self, rng: Random) -> Case:
        """A file that says how it will end: its number is what the generator was seeded with."""
        drawn = rng.getstate()
        number = next(n for n in range(20) if generator(__name__, 0, n).getstate() == drawn)
        return Case("ending", str(number).encode(), b"")

    def judged(self, case: Case, file: Path, _: Random) -> tuple[str, str]:
        assert file.read_bytes() == case.data
        match int(case.data):
            case 0:
                return AGREED, ""
            case 1:
                raise InputError("refused in words")
            case 2:
                raise KeyError("a traceback")
            case 3:
                os.abort()
            case 4:
                # What the limit on processor time sends.
                os.kill(os.getpid(), signal.SIGPROF)
            case 5:
                np.ones(2**28)
            case 6:
                warnings.warn("a word of a library", RuntimeWarning, stacklevel=1)
            case 7:
                os.write(1, b"a line on stdout")
        return DISAGREED, "two answers"


def make(_: tuple[Path, ...]) -> Endings:
    return Endings()
