"""Whether several threads pay: found out by timing, because it depends on the model, machine and its load.

Threads that share a small image wait for each other and for each other's cache lines: one alone can be
faster. The outputs are the same either way.
"""

import statistics

# Calls of a trial of one way; in the first ones threads wake up and caches change hands.
TRIAL, WARM_UP = 8, 4
# Trials of each way, in turn: a rest of the caller, after which helpers sleep, spoils one or two of them.
TRIALS = 5
# Calls of all trials, and those that follow their outcome.
TRIED, SETTLED = 2 * TRIALS * TRIAL, 1000


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
