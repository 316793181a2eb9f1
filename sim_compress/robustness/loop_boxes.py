"""The box of a loop's equilibria: interval iteration on |A| and |B| (mixed monotone, arXiv 2112.05310).

F maps a box of states to one that holds phi(A x + B u) for all x and u in boxes. A box that F maps into
itself holds the equilibrium of every u, since the iterates from within it stay and converge. With
|A| s <= k s, k < 1, F shrinks what is added along s: a box near the fixed point of F, widened along s, is
such a box.
"""

from collections.abc import Mapping

import numpy as np

from sim_compress.certificate import Scaling
from sim_compress.errors import CertificateError
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.robustness.boxes import Box, reach
from sim_compress.robustness.intervals import state_box
from sim_compress.runtime import Stage, Tolerance, equilibrium

ITERATIONS = 500
# Change of a box, relative to 1 + its largest value, at which it is near its fixed point.
NEAR = 1e-9
# A step's change times this over 1 - k covers what further steps would add.
MARGIN = 1.5


def loop_boxes(
    model: ImplicitModel,
    stage: Stage,
    boxes: Mapping[str, Box],
    scaling: Scaling,
    bound: float,
    tolerance: Tolerance,
) -> dict[str, Box]:
    """Boxes that hold the states of a loop, as the runtime finds them, for all values of its sources.

    Args:
        model: whose loop it is.
        stage: the loop.
        boxes: of the sources before it.
        scaling: s of its blocks.
        bound: k.
        tolerance: of the runtime's fixed point.

    Raises:
        CertificateError: no box was found that maps into itself.
    """
    names = [b.name for b in stage.blocks]
    along = {n: scaling[n][..., None] for n in names}
    found, change = _start(stage, boxes), np.zeros(())
    for _ in range(ITERATIONS):
        updated = _step(model, stage, boxes, found)
        change = _change(found, updated, along)
        found = updated
        if (change <= NEAR * (1 + _largest(found))).all():
            break
    for _ in range(ITERATIONS):
        delta = MARGIN * np.maximum(change, np.finfo(float).tiny) / (1 - bound)
        wide = {n: found[n].widened(delta * along[n]) for n in names}
        image = _step(model, stage, boxes, wide)
        if all(((image[n].low >= wide[n].low) & (image[n].high <= wide[n].high)).all() for n in names):
            return _as_found(wide, along, bound, tolerance)
        found, change = image, np.maximum(_change(wide, image, along), 2 * change)
    raise CertificateError(f"no box was found that holds the equilibria of the loop of {', '.join(names)}")


def _start(stage: Stage, boxes: Mapping[str, Box]) -> dict[str, Box]:
    """The equilibrium of the centres, without width."""
    centres = {n: b.centre.astype(np.float32) for n, b in boxes.items()}
    states, _ = equilibrium(stage, centres, Tolerance())
    return {n: Box(x.astype(float), x.astype(float)) for n, x in states.items()}


def _step(
    model: ImplicitModel, stage: Stage, boxes: Mapping[str, Box], own: Mapping[str, Box]
) -> dict[str, Box]:
    known = {**boxes, **own}
    return {b.name: state_box(b, reach(model, b.affine, known).box) for b in stage.blocks}


def _change(old: Mapping[str, Box], new: Mapping[str, Box], along: Mapping[str, Array]) -> Array:
    """Of both ends, the largest of each sample in units of s."""
    changes = [
        (np.maximum(np.abs(new[n].low - old[n].low), np.abs(new[n].high - old[n].high)) / s).reshape(
            -1, new[n].low.shape[-1]
        )
        for n, s in along.items()
    ]
    return np.concatenate(changes).max(axis=0)


def _largest(found: Mapping[str, Box]) -> Array:
    return np.concatenate([b.largest.reshape(-1, b.low.shape[-1]) for b in found.values()]).max(axis=0)


def _as_found(
    boxes: Mapping[str, Box], along: Mapping[str, Array], bound: float, tolerance: Tolerance
) -> dict[str, Box]:
    """The boxes with how far a state within the runtime's tolerance may be from its equilibrium."""
    least = min(float(s.min()) for s in along.values())
    off = tolerance.residual * (1 + _largest(boxes)) / (least * (1 - bound))
    return {n: b.widened(off * along[n]) for n, b in boxes.items()}
