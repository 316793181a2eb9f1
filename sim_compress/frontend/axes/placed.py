"""A tensor of a network file: its shape for one sample, and where in it the samples are.

    (N, T, E)     [N] [T] [E]          batch=0
    (T, N H, d)   [T] [N H] [d]        batch=1, before=1: H entries of every sample stand together
    (T, H N, d)   [T] [H N] [d]        batch=1, before=H: the samples' entries take turns

A tensor that no input reaches is the same for all samples, and then its value is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from sim_compress.frontend.axes.numbers import (
    Number,
    any_depends,
    at_first,
    is_constant,
    is_known,
    sample_count,
)
from sim_compress.frontend.weights import Weights, to_array
from sim_compress.model import Shape
from sim_compress.model.maps import Array

DECIDED_BY_BATCH = "depends on the number of samples, or on which sample it is"


@dataclass(frozen=True, eq=False)
class Stored:
    """A constant of the file; its numbers are read where they are asked for."""

    tensor: onnx.TensorProto
    weights: Weights

    @property
    def values(self) -> Array:
        return to_array(self.tensor, self.weights)


@dataclass(frozen=True, eq=False)
class Placed:
    """One tensor.

    Attributes:
        shape: as if there were one sample, in the axes of the file.
        batch: the axis that holds the samples, None where none does.
        before: entries of that axis that stand in front of the samples, as [before, N, after].
        numbers: of one sample, None where data decide them; some may be unknown or depend on N and n.
        stored: where the tensor is a constant of the file; it has no numbers beside it.
    """

    shape: Shape
    batch: int | None = None
    before: int = 1
    numbers: Array | None = None
    stored: Stored | None = None

    @property
    def value(self) -> Array | None:
        """The numbers of one sample, None where data decide them."""
        return self.numbers if self.stored is None else self.stored.values

    @property
    def after(self) -> int:
        """Entries of the batch axis that stand behind the samples."""
        assert self.batch is not None
        return self.shape[self.batch] // self.before

    @property
    def is_merged(self) -> bool:
        """Whether an axis of one sample shares its place with the samples."""
        return self.batch is not None and self.shape[self.batch] != 1

    @property
    def sample_shape(self) -> Shape:
        """The shape without the axis of the samples, unless other entries stand there too."""
        if self.batch is None or self.is_merged:
            return self.shape
        return (*self.shape[: self.batch], *self.shape[self.batch + 1 :])

    @property
    def sizes(self) -> list[Number]:
        """The sizes of all axes for N samples."""
        return [sample_count(s) if i == self.batch else s for i, s in enumerate(self.shape)]

    @property
    def is_constant(self) -> bool:
        """Whether the tensor has one value for all samples."""
        return self.stored is not None or (self.numbers is not None and is_constant(self.numbers))

    @property
    def is_known(self) -> bool:
        """Whether the tensor's value follows without data, N and n perhaps in it."""
        return self.stored is not None or (self.numbers is not None and is_known(self.numbers))

    @property
    def depends(self) -> bool:
        """Whether N or n may have a part in a value."""
        return any_depends(self.numbers)

    @property
    def first_sample(self) -> Array:
        """A known value as it is for one sample alone: with N = 1 and n = 0."""
        value = self.value
        assert value is not None
        return at_first(value)

    @property
    def sample_value(self) -> Array:
        """The same in the axes of one sample."""
        return self.first_sample.reshape(self.sample_shape)

    def without_samples(self) -> "Placed":
        """A tensor that is equal for all samples, as one without them; others as they are."""
        return Placed(self.shape, numbers=self.value) if self.batch is not None and self.is_constant else self

    def sample_axis(self, axis: int) -> int:
        """An axis of the file as an axis of one sample."""
        dropped = self.batch is not None and not self.is_merged and axis > self.batch
        return axis - dropped

    def behind(self, axes: int) -> "Placed":
        """The tensor with further axes of 1 in front."""
        if not axes:
            return self
        value = None if self.value is None else self.value.reshape((1,) * axes + self.shape)
        batch = None if self.batch is None else self.batch + axes
        return Placed((1,) * axes + self.shape, batch, self.before, value)

    def with_shape(self, shape: Sequence[int], batch: int | None) -> "Placed":
        """The same samples in a new shape, of unknown value."""
        return Placed(tuple(shape), batch, self.before if batch is not None else 1)

    def valued(self, numbers: Array | None) -> "Placed":
        return replace(self, numbers=numbers, stored=None)

    def full_shape(self, samples: int) -> Shape:
        """The shape in the file for a number of samples."""
        return tuple(s * samples if i == self.batch else s for i, s in enumerate(self.shape))

    def samples_first(self, values: Array) -> Array:
        """The file's values (shape with N samples) as (N, *sample_shape)."""
        if self.batch is None:
            return values.reshape(1, *self.shape)
        samples = values.shape[self.batch] // self.shape[self.batch]
        head, tail = self.shape[: self.batch], self.shape[self.batch + 1 :]
        split = values.reshape(*head, self.before, samples, self.after, *tail)
        return np.moveaxis(split, len(head) + 1, 0).reshape(samples, *self.sample_shape)

    def in_file(self, values: Array) -> Array:
        """Samples (N, *sample_shape) as the file has them."""
        assert self.batch is not None
        head, tail = self.shape[: self.batch], self.shape[self.batch + 1 :]
        split = values.reshape(len(values), *head, self.before, self.after, *tail)
        moved = np.moveaxis(split, 0, len(head) + 1)
        return moved.reshape(self.full_shape(len(values)))

    def __str__(self) -> str:
        def size(axis: int, entries: int) -> str:
            if axis != self.batch:
                return str(entries)
            parts = [str(self.before)] * (self.before > 1) + ["N"] + [str(self.after)] * (self.after > 1)
            return " ".join(parts) if len(parts) == 1 else f"({' '.join(parts)})"

        return "[" + ", ".join(size(i, s) for i, s in enumerate(self.shape)) + "]"
