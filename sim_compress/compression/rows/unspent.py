"""Entries that a block could not use, offered to others, so that the target counts what is there in the end.

A tile that no longer fits, a value that rounds to zero: each leaves a block with
fewer nonzeros than it was given.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.rows.tasks import Planned, Regressed
from sim_compress.core import largest
from sim_compress.model import Affine, round_values

# Times that a block, or row groups of baseline states, are solved again at most for entries that were left.
AGAIN = 4


class Unspent:
    """What the blocks so far have left of the entries of their part."""

    def __init__(self, plan: Plan) -> None:
        self._part = {name: part.pattern for part in plan.scope for name in part.names}
        self._left = dict.fromkeys(self._part.values(), 0)
        self._free = plan.free

    def offered(self, name: str, groups: Sequence[Planned]) -> list[Planned]:
        """The row groups of the next block with what is left, as far as they have room for it."""
        if not self._free:
            return list(groups)
        more, self._left[self._part[name]] = _wider(groups, self._left[self._part[name]])
        return more

    def more(self, groups: Sequence[Planned], tried: Sequence[Planned], rows: Affine) -> list[Planned]:
        """The row groups with more entries, where those that vanished can be others; else nothing.

        Tiles that do not fit would not fit again.

        Args:
            groups: with the entries that the block is given.
            tried: with the entries that its rows were solved with.
            rows: what came of it.
        """
        left = unused(groups, rows)
        if not self._free or left <= 0 or any(g.project is not largest for g in groups):
            return []
        more, over = _wider(tried, left)
        return more if over < left else []

    def take(self, name: str, groups: Sequence[Planned], rows: Affine) -> None:
        """Keep what a block's rows have left of what its groups were given."""
        self._left[self._part[name]] += unused(groups, rows)


def unused(groups: Sequence[Planned], rows: Affine) -> int:
    """What a block's rows have left of what its groups were given."""
    return sum(g.count + int(g.block.given.sum()) for g in groups) - rows.nnz if groups else 0


def spent(plan: Plan, groups: Sequence[Planned], solved: Sequence[Regressed], values: str) -> list[Regressed]:
    """Rows of baseline states, some solved again with what others have left.

    Args:
        plan: of all groups.
        groups: in the plan's order.
        solved: their rows.
        values: format that weights are rounded to.
    """
    found = list(solved)
    part_of = {name: part.pattern for part in plan.scope for name in part.names}
    owners = [part_of[name] for name, own in plan.groups.items() for _ in own]
    for part in dict.fromkeys(owners) if plan.free else ():
        own = [i for i, owner in enumerate(owners) if owner == part]
        left = sum(groups[i].count - _entries(groups[i], found[i], values) for i in own)
        for i in sorted(own, key=lambda i: -_room(groups[i]))[:AGAIN]:
            if left > 0:
                before = _entries(groups[i], found[i], values)
                # What a group had left of its own is in what all have left.
                more = min(left, _room(groups[i])) + (
                    before if groups[i].project is not largest else groups[i].count
                )
                again = replace(groups[i], count=more).solved()
                gained = _entries(groups[i], again, values) - before
                if 0 < gained <= left:
                    found[i] = again
                    left -= gained
    return found


def _wider(groups: Sequence[Planned], left: int) -> tuple[list[Planned], int]:
    """The row groups with so many entries more, as far as they have room, and how many are still left."""
    more: list[Planned] = []
    for group in groups:
        extra = min(left, _room(group))
        more.append(replace(group, count=group.count + extra))
        left -= extra
    return more, left


def _room(group: Planned) -> int:
    """Entries that the rows could have beside those they keep."""
    return max(int(np.count_nonzero(group.block.allowed)) - group.count, 0)


def _entries(group: Planned, rows: Regressed, values: str) -> int:
    """Weights and biases that the network does not have, those that round to zero left out."""
    W, bias = group.block.problems.to_network(*rows)
    kept = (round_values(a.astype(np.float32), values) for a in (W, bias[~group.block.given]))
    return sum(int(np.count_nonzero(a)) for a in kept)
