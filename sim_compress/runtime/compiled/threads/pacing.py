"""Whether several threads pay, and how long helpers wait for the next call: found out by timing.

Threads that share a small image wait for each other and for each other's cache lines: one alone can be
faster. The outputs are the same either way.
"""

import math
import statistics
from collections import deque

# Calls of a trial of one way; in the first ones threads wake up and caches change hands.
TRIAL, WARM_UP = 8, 4
# Trials of each way, in turn: a rest of the caller, after which helpers sleep, spoils one or two of them.
TRIALS = 5
# Calls of all trials, and those that follow their outcome.
TRIED, SETTLED = 2 * TRIALS * TRIAL, 1000
# Rests that are looked at, seconds up to which calls come back to back, and seconds that a helper stays at
# least, so that who was woken sees what it was woken for. A loop that does little else rests for 10 to 20
# microseconds (tools/bench/waiting.py).
RESTS, BACK_TO_BACK, LEAST = 5, 50e-6, 5e-6


class Attendance:
    """How long helpers stay awake after a run: twice as long as rests were of late, if those were short.

    A core that waits is one that nobody else can use; to be woken takes longer than a short rest.
    """

    def __init__(self) -> None:
        self._ended = 0.0
        self._rests = deque([math.inf] * RESTS, RESTS)

    def began(self, now: float) -> None:
        """A run began, at so many seconds."""
        self._rests.append(now - self._ended)

    def ended(self, now: float) -> None:
        """It ended."""
        self._ended = now

    @property
    def seconds(self) -> float:
        """After the next run."""
        rest = statistics.median(self._rests)
        return LEAST if rest > BACK_TO_BACK else max(LEAST, 2 * rest)


class Pacing:
    """Tries both ways in turn, then keeps to the faster one for a while."""

    def __init__(self) -> None:
        self._faster = True
        self._restart()

    def _restart(self) -> None:
        self._call = 0
        self._seconds: dict[bool, list[float]] = {True: [], False: []}

    def together(self) -> bool:
        """Whether the next call is for all threads."""
        return self._call // TRIAL % 2 == 0 if self._call < TRIED else self._faster

    def took(self, seconds: float) -> None:
        """The time of that call."""
        if self._call < TRIED and self._call % TRIAL >= WARM_UP:
            self._seconds[self._call // TRIAL % 2 == 0].append(seconds)
        self._call += 1
        if self._call == TRIED:
            self._faster = statistics.median(self._seconds[True]) < statistics.median(self._seconds[False])
        elif self._call == TRIED + SETTLED:
            self._restart()
