"""The canonical form of a value: channels, rows and columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.model import (
    Affine,
    ImplicitModel,
    Lookup,
    Offset,
    Scale,
    Shape,
    StateBlock,
    Term,
    apply_chain,
    selects,
)

# Steps along channels, rows and columns.
Step = tuple[int, int, int]
CHANNELS, ROWS, COLUMNS = range(3)


@dataclass(frozen=True)
class Form:
    """The canonical form (channels, rows, columns) of an array: which axis is which.

    Attributes:
        shape: the array's own shape.
        channel_axes: the axes of the channels, flattened in order; the others, in order, are positions.
    """

    shape: Shape
    channel_axes: Shape = (0,)

    @property
    def position_axes(self) -> Shape:
        """The axes that are no channels."""
        return tuple(axis for axis in range(len(self.shape)) if axis not in self.channel_axes)

    @property
    def channels(self) -> int:
        return int(np.prod([self.shape[axis] for axis in self.channel_axes])) if self.shape else 1

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns; a single axis of positions is a row, more than two are flattened to one."""
        positions = [self.shape[axis] for axis in self.position_axes]
        if len(positions) == 2:
            return positions[0], positions[1]
        return 1, int(np.prod(positions))

    def steps(self) -> tuple[Step, ...]:
        """What one step along each axis is in canonical form."""
        positions = self.position_axes
        steps = {
            a: (n, 0, 0) for a, n in zip(self.channel_axes, self._strides(self.channel_axes), strict=True)
        }
        if len(positions) == 2:
            steps |= {positions[0]: (0, 1, 0), positions[1]: (0, 0, 1)}
        else:
            steps |= {a: (0, 0, n) for a, n in zip(positions, self._strides(positions), strict=True)}
        return tuple(steps[axis] for axis in range(len(self.shape)))

    def _strides(self, axes: Shape) -> list[int]:
        """Steps of axes that are flattened together."""
        return [int(np.prod([self.shape[b] for b in axes[place + 1 :]])) for place in range(len(axes))]

    def canonical(self, array: NDArray[np.int64]) -> NDArray[np.int64]:
        """An array of the form's shape as (channels, rows, columns)."""
        moved = array.transpose(*self.channel_axes, *self.position_axes) if self.shape else array
        return moved.reshape(self.channels, *self.size)

    def restored(self, canonical: NDArray[np.int64]) -> NDArray[np.int64]:
        """An array (channels, rows, columns) in the form's own shape."""
        if not self.shape:
            return canonical.reshape(())
        order = (*self.channel_axes, *self.position_axes)
        return canonical.reshape([self.shape[axis] for axis in order]).transpose(np.argsort(order))


def form_of(affine: Affine) -> Form:
    """The form in which tied rows are channels."""
    return Form(affine.shape, (affine.row_axis,))


@dataclass(frozen=True)
class Forms:
    """Attributes:
    sums: form of z for every block and output.
    states: form of every block's state.
    """

    sums: dict[str, Form]
    states: dict[str, Form]


def forms(model: ImplicitModel) -> Forms:
    """Canonical forms; sums without rows keep the tokens of what they read, or of their readers."""
    inputs = {i.name: i.shape for i in model.inputs}
    sums: dict[str, Form] = {}
    states: dict[str, Form] = {}
    unknown: list[StateBlock] = []
    for block in model.blocks:
        plain = _is_plain(block.affine)
        own = _kept(block.affine, states, inputs) if plain else form_of(block.affine)
        same = block.shape == block.affine.shape
        if own is not None or not same:
            sums[block.name] = own or form_of(block.affine)
        if block.phi.name == "matmul":
            states[block.name] = _product(block, states, inputs)
        elif own is not None and same:
            states[block.name] = own
        elif plain:
            unknown.append(block)
        else:
            states[block.name] = Form(block.shape)
    for output in model.outputs:
        own = _kept(output.affine, states, inputs) if _is_plain(output.affine) else None
        sums[output.name] = own or form_of(output.affine)
    readers = _readers(model, {block.name for block in unknown})
    for block in reversed(unknown):
        asked = _asked(block.shape, readers[block.name], sums)
        default = form_of(block.affine) if block.shape == block.affine.shape else Form(block.shape)
        states[block.name] = asked or default
        sums.setdefault(block.name, states[block.name])
    return Forms(sums, states)


def _is_plain(affine: Affine) -> bool:
    """Whether a sum has no rows of its own."""
    return not affine.weighted and affine.bias is None


def _kept(affine: Affine, states: dict[str, Form], inputs: dict[str, Shape]) -> Form | None:
    """The form in which the tokens of a source stay tokens; None where none has any."""
    for term in affine.terms:
        labels = _labels(term, states, inputs)
        axis = None if labels is None else _token_axis(labels)
        if axis is not None:
            return _with_tokens(affine.shape, axis)
    return None


def _with_tokens(shape: Shape, axis: int) -> Form:
    return Form(shape, tuple(a for a in range(len(shape)) if a != axis))


def _product(block: StateBlock, states: dict[str, Form], inputs: dict[str, Shape]) -> Form:
    """Rows of the left matrix, or columns of the right one, where they are tokens."""
    affine, shape, parts = block.affine, block.shape, block.phi.attributes["parts"]
    whole = np.full(int(np.prod(affine.shape)), -1)
    for term in affine.terms:
        labels = _labels(term, states, inputs)
        if labels is not None:
            whole = np.maximum(whole, labels)
    size = int(np.prod(parts[0]))
    for part, labels, place in ((parts[0], whole[:size], -2), (parts[1], whole[size:], -1)):
        axis = _token_axis(labels.reshape(part))
        if axis == len(part) + place:
            return _with_tokens(shape, len(shape) + place)
    return Form(shape)


def _labels(term: Term, states: dict[str, Form], inputs: dict[str, Shape]) -> NDArray[np.int64] | None:
    """The number of the token that each element comes from, -1 for none; None where there are no tokens."""
    steps = [step for step in term.maps if not isinstance(step, Scale | Offset)]
    if (form := states.get(term.source)) is not None and form.size != (1, 1):
        numbers = np.arange(form.size[0] * form.size[1]).reshape(form.size)
        labels = form.restored(np.broadcast_to(numbers, (form.channels, *form.size)))
    elif term.source in inputs and any(isinstance(step, Lookup) for step in steps):
        # Every id is a token.
        labels = np.arange(int(np.prod(inputs[term.source]))).reshape(inputs[term.source])
    else:
        return None
    for step in steps:
        if isinstance(step, Lookup):
            labels = np.repeat(labels[..., None], step.shape[1], axis=-1)
        elif selects(step):
            labels = np.asarray(step.apply(labels[..., None] + 1)[..., 0] - 1)
        else:
            return None
    return labels


def _token_axis(labels: NDArray[np.int64]) -> int | None:
    """The axis along which tokens differ, where they do along no other; some may be added to them."""
    for axis, size in enumerate(labels.shape):
        moved = np.moveaxis(labels, axis, -1).reshape(-1, size)
        there = moved[0][moved[0] >= 0]
        distinct = len(there) > 1 and len(np.unique(there)) == len(there)
        if labels.ndim > 1 and distinct and (moved == moved[0]).all():
            return axis
    return None


def _readers(model: ImplicitModel, names: set[str]) -> dict[str, list[tuple[str, Term]]]:
    """Block or output and term of everything that reads some values."""
    readers: dict[str, list[tuple[str, Term]]] = {name: [] for name in names}
    for reader, affine in model.affines():
        for term in affine.terms:
            if term.source in readers:
                readers[term.source].append((reader, term))
    return readers


def _asked(shape: Shape, readers: list[tuple[str, Term]], sums: dict[str, Form]) -> Form | None:
    """The form in which a reader finds its own tokens; None where no reader that is known has any."""
    for reader, term in readers:
        steps = [step for step in term.maps if not isinstance(step, Scale | Offset)]
        if reader not in sums or len(shape) < 2 or not all(map(selects, steps)):
            continue
        for axis, size in enumerate(shape):
            numbers = np.arange(size).reshape(-1, *(1,) * (len(shape) - 1 - axis))
            read = np.asarray(apply_chain(steps, np.broadcast_to(numbers, shape)[..., None])[..., 0])
            form = sums[reader]
            apart = read.reshape(len(read), -1) if term.weight is not None else form.canonical(read)
            apart = apart.reshape(len(apart), -1)
            if 1 < size == len(np.unique(apart[0])) == apart.shape[1] and (apart == apart[0]).all():
                return _with_tokens(shape, axis)
    return None
