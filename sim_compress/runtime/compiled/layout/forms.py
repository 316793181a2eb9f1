"""The canonical form of a value: channels, rows and columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.model import Affine, ImplicitModel, Shape

# Steps along channels, rows and columns.
Step = tuple[int, int, int]
CHANNELS, ROWS, COLUMNS = range(3)


@dataclass(frozen=True)
class Form:
    """The canonical form (channels, rows, columns) of an array: which axis is which.

    Attributes:
        shape: the array's own shape.
        channel_axis: the axis of the channels; the others, in order, are positions.
    """

    shape: Shape
    channel_axis: int = 0

    @property
    def channels(self) -> int:
        return self.shape[self.channel_axis] if self.shape else 1

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns; a single axis of positions is a row, more than two are flattened to one."""
        positions = [s for axis, s in enumerate(self.shape) if axis != self.channel_axis]
        if len(positions) == 2:
            return positions[0], positions[1]
        return 1, int(np.prod(positions))

    def steps(self) -> tuple[Step, ...]:
        """What one step along each axis is in canonical form."""
        positions = [axis for axis in range(len(self.shape)) if axis != self.channel_axis]
        steps = {self.channel_axis: (1, 0, 0)}
        if len(positions) == 2:
            steps |= {positions[0]: (0, 1, 0), positions[1]: (0, 0, 1)}
        else:
            for place, axis in enumerate(positions):
                steps[axis] = (0, 0, int(np.prod([self.shape[a] for a in positions[place + 1 :]])))
        return tuple(steps[axis] for axis in range(len(self.shape)))

    def canonical(self, array: NDArray[np.int64]) -> NDArray[np.int64]:
        """An array of the form's shape as (channels, rows, columns)."""
        moved = np.moveaxis(array, self.channel_axis, 0) if self.shape else array
        return moved.reshape(self.channels, *self.size)

    def restored(self, canonical: NDArray[np.int64]) -> NDArray[np.int64]:
        """An array (channels, rows, columns) in the form's own shape."""
        if not self.shape:
            return canonical.reshape(())
        positions = self.shape[: self.channel_axis] + self.shape[self.channel_axis + 1 :]
        return np.moveaxis(canonical.reshape(self.channels, *positions), 0, self.channel_axis)


def form_of(affine: Affine) -> Form:
    """The canonical form of a block's z."""
    return Form(affine.shape, affine.row_axis)


def forms(model: ImplicitModel) -> dict[str, Form]:
    """Canonical form of every block's state."""
    found = {}
    for block in model.blocks:
        componentwise = block.shape == block.affine.shape
        found[block.name] = form_of(block.affine) if componentwise else Form(block.shape)
    return found
