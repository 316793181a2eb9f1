"""Sets of columns that leave several least-squares problems at once, the one that costs least first.

The error that a set J costs a row is 1/2 v_J' (inv(H)_JJ)^-1 v_J, with all other entries free to repair it
(optimal brain surgeon, for groups). A set also takes the rows that nothing reads without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Matrix
from sim_compress.core.problems import Mask, RowProblems
from sim_compress.core.refit import RIDGE

Numbers = NDArray[np.int64]
# The number of a row or column that is in no set.
NONE = -1


@dataclass(frozen=True, eq=False)
class Reader:
    """The rows of one block, and which sets they and their columns are in.

    Attributes:
        problems: its row problems.
        rows: (rows,) set of each row, NONE where it stays.
        columns: (features,) set of each column, NONE where it stays.
        price: of its squared error in the network's units.
        biased: (rows,) which rows have a bias; all if not given.
    """

    problems: RowProblems
    rows: Numbers
    columns: Numbers
    price: float = 1.0
    biased: Mask | None = None


@dataclass(frozen=True, eq=False)
class Elimination:
    """What has left.

    Attributes:
        gone: (sets,) whether a set has.
        error: what it cost, the sum over readers of price times squared error.
        entries: of rows and biases that stay.
        exhausted: whether no set was left that could leave.
    """

    gone: NDArray[np.bool_]
    error: float
    entries: int
    exhausted: bool


@dataclass(frozen=True, eq=False)
class Order:
    """In which order sets leave.

    Attributes:
        power: of a set's entries, by which its cost is divided: above 1 large sets leave sooner.
        families: (sets,) number of each set's family; a family each if not given.
        multiple: of which families keep their size: so many sets of one leave at once.
    """

    power: float = 1.0
    families: Numbers | None = None
    multiple: int = 1


def eliminate(
    readers: Sequence[Reader],
    sets: int,
    count: int,
    states: Sequence[Numbers] = (),
    order: Order = Order(),
) -> Elimination:
    """Take out sets until no more than `count` entries stay, or none of those left is that small.

    Args:
        readers: the rows of all blocks.
        sets: how many there are.
        count: entries and biases of rows to keep.
        states: for each state the sets of its channels; one channel of each state stays.
        order: which set leaves next.
    """
    left = [_Left(reader, sets) for reader in readers]
    users = [[r for r in left if r.has[s]] for s in range(sets)]
    channels = np.array([np.bincount(s[s >= 0], minlength=sets) for s in states]).reshape(-1, sets)
    room = np.array([len(s) for s in states])
    families = np.arange(sets) if order.families is None else order.families
    gone, error, exhausted = np.zeros(sets, bool), 0.0, False
    entries = sum(r.entries for r in left)
    while entries > count:
        size, cost = (np.sum([getattr(r, what) for r in left], axis=0) for what in ("size", "cost"))
        score = cost / np.maximum(size, 1.0) ** order.power
        ways = _ways(families, ~gone & (size > 0), score, order.multiple)
        ways = [w for w in ways if np.all(channels[:, w].sum(axis=1) < room)]
        fitting = [w for w in ways if size[w].sum() <= entries - count]
        if not fitting:
            exhausted = not ways
            break
        best = min(fitting, key=lambda w: cost[w].sum() / size[w].sum() ** order.power)
        for number in best:
            error += sum(float(r.cost[number]) for r in users[number])
            for reader in users[number]:
                reader.take(number)
        gone[best] = True
        room = room - channels[:, best].sum(axis=1)
        entries = sum(r.entries for r in left)
    return Elimination(gone, error, entries, exhausted)


def _ways(families: Numbers, free: NDArray[np.bool_], score: Matrix, multiple: int) -> list[Numbers]:
    """What could leave next: of each family the sets of least score, so that a multiple of them stays."""
    candidates = np.flatnonzero(free)
    ranked = candidates[np.lexsort((score[candidates], families[candidates]))]
    own = np.split(ranked, np.flatnonzero(np.diff(families[ranked])) + 1)
    return [w[: len(w) % multiple or multiple] for w in own if len(w)]


class _Left:
    """One reader's rows as sets leave.

    Attributes:
        has: (sets,) whether a set has rows or columns here.
        cost: (sets,) the error that each set would cost.
        size: (sets,) the entries and biases that would leave with it.
    """

    def __init__(self, reader: Reader, sets: int) -> None:
        problems = reader.problems
        self._sets, self._rows, self._columns = sets, reader.rows, reader.columns
        self._there, self._alive = problems.feature_scale > 0, problems.row_scale > 0
        self._biased = np.ones(problems.rows, bool) if reader.biased is None else reader.biased
        self._weights = reader.price * problems.row_scale**2 / 2
        self._inverse = np.linalg.inv(problems.H + RIDGE * np.eye(problems.features))
        self._V = problems.g @ self._inverse
        self.has = np.isin(np.arange(sets), np.concatenate([reader.rows, reader.columns]))
        self._count()

    @property
    def entries(self) -> int:
        return int(self._biased.sum() + self._alive.sum() * self._there.sum())

    def take(self, number: int) -> None:
        """Rows and columns of a set leave; the other columns repair what they can."""
        rows, own = self._rows != number, np.flatnonzero(self._columns == number)
        stays = np.flatnonzero(self._columns != number)
        repair = np.linalg.solve(self._inverse[np.ix_(own, own)], self._inverse[np.ix_(own, stays)])
        self._V = self._V[np.ix_(rows, stays)] - self._V[np.ix_(rows, own)] @ repair
        self._inverse = self._inverse[np.ix_(stays, stays)] - self._inverse[np.ix_(stays, own)] @ repair
        self._rows, self._weights = self._rows[rows], self._weights[rows]
        self._alive, self._biased = self._alive[rows], self._biased[rows]
        self._columns, self._there = self._columns[stays], self._there[stays]
        self._count()

    def _count(self) -> None:
        """Cost and size of every set as things stand."""
        alive, biased = self._staying(self._rows, self._alive), self._staying(self._rows, self._biased)
        self.size = self.entries - biased - alive * self._staying(self._columns, self._there)
        self.cost = np.zeros(self._sets)
        every = np.bincount(self._columns[self._columns >= 0], minlength=self._sets)
        order = np.argsort(self._columns, kind="stable")
        first = np.searchsorted(self._columns[order], np.arange(self._sets))
        for width in np.unique(every[every > 0]):
            alike = np.flatnonzero(every == width)
            self.cost[alike] = self._costs(alike, order[first[alike, None] + np.arange(width)])

    def _staying(self, numbers: Numbers, counted: Mask) -> Numbers:
        """(sets,) how many of the counted rows or columns would stay without each set."""
        own = numbers[counted]
        return len(own) - np.bincount(own[own >= 0], minlength=self._sets)

    def _costs(self, sets: Numbers, columns: Numbers) -> Matrix:
        """Costs of sets with as many columns each, (sets, width)."""
        V = self._V[:, columns].transpose(1, 2, 0)
        inverse = self._inverse[columns[:, :, None], columns[:, None, :]]
        # Rows that leave with the set cost nothing.
        weights = np.where(self._rows == sets[:, None], 0.0, self._weights)
        return np.einsum("skr,skr,sr->s", V, np.linalg.solve(inverse, V), weights)
