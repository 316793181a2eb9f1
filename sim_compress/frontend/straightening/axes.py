"""Where the batch stands among a tensor's axes, and the numbers its axes have once the batch is first."""

from collections.abc import Sequence
from dataclasses import dataclass


class CrookedError(Exception):
    """A node cannot be written with the batch first."""


@dataclass(frozen=True)
class Layout:
    """How a tensor of the file differs from the same tensor with the batch first.

    Attributes:
        batch: the place of the batch axis.
        steps: size of the feature axis that the batch axis is merged with, 0 where it is alone.
    """

    batch: int = 0
    steps: int = 0

    def axis(self, old: int) -> int:
        """The number of a feature axis with the batch first.

        Raises:
            CrookedError: it is the batch axis.
        """
        if old == self.batch:
            raise CrookedError
        return old + 1 if self.steps or old < self.batch else old

    def axes(self, old: Sequence[int]) -> list[int]:
        """The numbers of several feature axes."""
        return [self.axis(a) for a in old]

    def without(self, axes: Sequence[int]) -> "Layout":
        """The layout once some feature axes are gone."""
        return Layout(self.batch - sum(a < self.batch for a in axes), self.steps)

    def with_new(self, axes: Sequence[int]) -> "Layout":
        """The layout once there are new axes, numbered as in the result."""
        kept = (a for a in range(self.batch + len(axes) + 1) if a not in axes)
        return Layout([next(kept) for _ in range(self.batch + 1)][-1], self.steps)


STRAIGHT = Layout()
