"""Whether several threads pay: found out by timing, because it depends on the model, machine and its load.

Threads that share a small image wait for each other and for each other's cache lines: one alone can be
faster. The outputs are the same either way.
"""

import statistics

# Calls of a trial of one way; in the first ones threads wake up and caches change hands.
TRIAL, WARM_UP = 8, 4
# Calls that follow the outcome of two trials.
SETTLED = 1000


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
        trial = self._call // TRIAL
        return (trial == 0) if trial < 2 else self._faster

    def took(self, seconds: float) -> None:
        """The time of that call."""
        if self._call < 2 * TRIAL and self._call % TRIAL >= WARM_UP:
            self._seconds[self._call < TRIAL].append(seconds)
        self._call += 1
        if self._call == 2 * TRIAL:
            self._faster = statistics.median(self._seconds[True]) < statistics.median(self._seconds[False])
        elif self._call == 2 * TRIAL + SETTLED:
            self._restart()
