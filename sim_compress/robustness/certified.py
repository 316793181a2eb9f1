"""What no perturbation within epsilon can do: boxes of outputs, and samples whose class is certain to stay.

Blocks in order: the box of a block's states from the boxes of its sources, loops by their fixed point. Where
the unrolled rows are small enough, backward linear bounds narrow the boxes of pre-activations, and bound the
difference of the right score and every other.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.certificate import certify
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, unrolled_bytes
from sim_compress.model.maps import Array
from sim_compress.robustness.attacks import Domain
from sim_compress.robustness.backward import Known, Unrolled, lowest, unrolled_rows
from sim_compress.robustness.boxes import Box, Reach, reach
from sim_compress.robustness.evaluate import (
    classes_of,
    given_session,
    moved_inputs,
    prepared_inputs,
    scored_output,
)
from sim_compress.robustness.intervals import EXACT, state_box
from sim_compress.robustness.lines import lines
from sim_compress.robustness.loop_boxes import loop_boxes
from sim_compress.runtime import Session, Tolerance, check_labels, schedule

METHODS = ("linear", "interval")
# Unrolled rows of a network up to this size are bounded backwards; a ResNet-20's take a thousand times more.
UNROLLED_BYTES = 64 * 2**20
# Pre-activations of a block that is bounded entry by entry.
MOST_ENTRIES = 1024
# Numbers of an array of boxes or coefficients; samples of larger networks come in smaller chunks.
NUMBERS = 2**22
CHUNK = 64


@dataclass(frozen=True)
class Certified:
    """Samples whose class no perturbation changes.

    Attributes:
        epsilon: within which inputs move.
        accuracy: part of the samples whose class is right and certain to stay.
        method: how states were bounded, one of METHODS.
        network_accuracy: the same of the network; None without one.
    """

    epsilon: float
    accuracy: float
    method: str
    network_accuracy: float | None = None


def certified(
    model: Session | ImplicitModel,
    inputs: ArrayLike | Mapping[str, ArrayLike],
    epsilon: float,
    labels: ArrayLike | None = None,
    *,
    domain: Domain | None = None,
    method: str | None = None,
    threads: int | None = None,
    progress: Callable[[float], None] = lambda _part: None,
) -> tuple[Array, str]:
    """Which samples have the right class wherever their inputs move within epsilon, (samples,), and how.

    It holds for the model as the runtime evaluates it, rounding to float32 and stopping at its tolerance
    included.

    Args:
        model: the model.
        inputs: (samples, ...), or such arrays by name.
        epsilon: how far an entry may move.
        labels: class numbers (samples,); the model's own classes if not given.
        domain: what values inputs may take.
        method: `linear`, backward linear bounds, or `interval`, boxes alone; by default linear where the
            network is small enough.
        threads: by default one for each processor.
        progress: called with the finished part in [0, 1].

    Raises:
        DataError: inputs or labels do not fit, or inputs lie outside the domain.
        UnsupportedError: nothing bounds what some phi makes of a box.
        CertificateError: a loop has no certificate.
    """
    session = given_session(model, threads)
    arrays, output = prepared_inputs(session.model, inputs), scored_output(session.model)
    found = classes_of(session, arrays, output)
    classes = found if labels is None else np.asarray(labels)
    check_labels(session.model, classes, len(found))
    bounds = Bounds(session.model, epsilon, domain, method, session.tolerance)
    bounds.check(arrays)
    safe = np.zeros(len(classes), bool)
    right = np.flatnonzero(found == classes)
    chunks = [right[i : i + bounds.chunk] for i in range(0, len(right), bounds.chunk)]

    def margins(own: Array) -> Array:
        return bounds.margins({n: u[own] for n, u in arrays.items()}, classes[own], output)

    with ThreadPoolExecutor(session.threads) as workers:
        for number, (own, margin) in enumerate(zip(chunks, workers.map(margins, chunks), strict=True)):
            safe[own] = margin > 0
            progress((number + 1) / len(chunks))
    return safe, bounds.method


def reachable(
    model: ImplicitModel,
    inputs: ArrayLike | Mapping[str, ArrayLike],
    epsilon: float,
    *,
    domain: Domain | None = None,
    method: str | None = None,
) -> dict[str, tuple[Array, Array]]:
    """Least and largest value of every output, name -> (samples, ...) twice; errors as of `certified`."""
    bounds = Bounds(model, epsilon, domain, method)
    arrays = prepared_inputs(model, inputs)
    bounds.check(arrays)
    samples = len(next(iter(arrays.values())))
    parts = [
        bounds.outputs({n: u[i : i + bounds.chunk] for n, u in arrays.items()})
        for i in range(0, samples, bounds.chunk)
    ]
    return {
        o.name: (_joined([p[o.name].low for p in parts]), _joined([p[o.name].high for p in parts]))
        for o in model.outputs
    }


def _joined(parts: list[Array]) -> Array:
    """Parts with samples last as (samples, ...)."""
    return np.concatenate([np.moveaxis(part, -1, 0) for part in parts])


class Bounds:
    """Boxes of everything in a model within epsilon of some inputs.

    Attributes:
        method: one of METHODS.
        chunk: samples at a time.
    """

    def __init__(
        self,
        model: ImplicitModel,
        epsilon: float,
        domain: Domain | None,
        method: str | None = None,
        tolerance: Tolerance | None = None,
    ) -> None:
        if not 0 < epsilon < np.inf:
            raise InputError(f"epsilon must be a number above 0, got {epsilon}")
        if method not in (None, *METHODS):
            raise InputError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
        self._model, self._epsilon, self._domain = model, epsilon, domain or Domain()
        self._stages, self._tolerance = schedule(model), tolerance or Tolerance()
        self._certificate = certify(model)
        small = not any(a.lookups for _, a in model.affines()) and unrolled_bytes(model) <= UNROLLED_BYTES
        self.method = method or ("linear" if small else "interval")
        linear = self.method == "linear"
        self._rows = {n: unrolled_rows(model, a) for n, a in model.affines()} if linear else {}
        widest = max(prod(shape) for shape in model.shapes.values())
        tallest = max(min(prod(a.shape), MOST_ENTRIES) for _, a in model.affines()) if linear else 1
        self.chunk = int(np.clip(NUMBERS // (widest * tallest), 1, CHUNK))

    def check(self, inputs: Mapping[str, Array]) -> None:
        """Refuse inputs that cannot move, or lie outside the domain."""
        moved_inputs(self._model, self._domain, inputs)

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Box]:
        """Boxes of all outputs, (*shape, samples)."""
        boxes, known = self._states(inputs)
        return {o.name: self._narrowed(o.name, o.affine, boxes, known).box for o in self._model.outputs}

    def margins(self, inputs: Mapping[str, Array], classes: Array, output: str) -> Array:
        """Lower bounds of the right score minus the largest of the others, (samples,)."""
        boxes, known = self._states(inputs)
        (own,) = (o for o in self._model.outputs if o.name == output)
        found = reach(self._model, own.affine, boxes)
        samples, count = len(classes), prod(own.shape)
        low, high, off = (a.reshape(count, -1).T for a in (found.box.low, found.box.high, found.rounding))
        rows = np.arange(samples)
        margins = low[rows, classes][:, None] - high
        if self._rows:
            functions = np.broadcast_to(-np.eye(count), (samples, count, count)).copy()
            functions[rows, :, classes] += 1
            apart = self._lowest(self._rows[output], functions, boxes, known)
            margins = np.fmax(margins, apart - off - off[rows, classes][:, None])
        margins[rows, classes] = np.inf
        return margins.min(axis=1)

    def _states(self, inputs: Mapping[str, Array]) -> tuple[dict[str, Box], dict[str, Known]]:
        """Boxes of inputs and states; and what backward bounds need of the blocks without loops."""
        model, boxes, known = self._model, self._boxes_of(inputs), {}
        for stage in self._stages:
            if stage.cyclic:
                boxes |= loop_boxes(
                    model, stage, boxes, self._certificate.scaling, self._certificate.bound, self._tolerance
                )
                continue
            (block,) = stage.blocks
            found = self._narrowed(block.name, block.affine, boxes, known)
            boxes[block.name] = state_box(block, found.box)
            if self._rows:
                exact = block.phi.name in EXACT
                known[block.name] = Known(
                    self._rows[block.name], lines(block, found.box), found, boxes[block.name], exact
                )
        return boxes, known

    def _boxes_of(self, inputs: Mapping[str, Array]) -> dict[str, Box]:
        moved = moved_inputs(self._model, self._domain, inputs)
        boxes = {}
        for name, array in inputs.items():
            ends = self._domain.box(array, self._epsilon) if name in moved else (array, array)
            boxes[name] = Box(*(np.moveaxis(end, 0, -1).astype(np.float64) for end in ends))
        return boxes

    def _narrowed(
        self, name: str, affine: Affine, boxes: Mapping[str, Box], known: Mapping[str, Known]
    ) -> Reach:
        """Where the pre-activation of a block lies, by backward bounds where they can tell more."""
        found = reach(self._model, affine, boxes)
        count, shape = prod(affine.shape), found.box.low.shape
        behind = any(t.source in known for t in affine.terms)
        if not behind or count > MOST_ENTRIES:
            return found
        rows, samples = self._rows[name], shape[-1]
        functions = np.broadcast_to(np.eye(count), (samples, count, count))
        low, high = (
            sign * self._lowest(rows, sign * functions, boxes, known).T.reshape(shape) for sign in (1, -1)
        )
        narrow = Box(low, high).widened(found.rounding).within(found.box)
        return Reach(narrow, found.rounding)

    def _lowest(
        self,
        rows: Unrolled,
        functions: Array,
        boxes: Mapping[str, Box],
        known: Mapping[str, Known],
    ) -> Array:
        """Lower bounds (samples, functions) of functions (samples, functions, entries) of z."""
        samples, count, entries = functions.shape
        flat = functions.reshape(-1, entries)
        sources = {n: np.asarray(flat @ M).reshape(samples, count, -1) for n, M in rows.parts.items()}
        # All but what the block itself rounds, which the caller knows.
        return lowest(sources, known, boxes) + functions @ rows.constant
