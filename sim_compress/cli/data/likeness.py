"""How much made-up inputs look like those a network was trained on, told by its own parameters.

Where training ended, biases are about as large as what they are added to, and scores differ by a few units.
Pixels in another range than the network's make one of both too large or too small by orders of magnitude.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from sim_compress.model import Affine, ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime import is_scores

if TYPE_CHECKING:
    # Evaluating an artifact needs no onnx.
    from sim_compress.states import Teacher

# What the logs of two ratios count. On 20 networks of known range, among them small ones trained on 0..255,
# 0..1 and standardised pixels with and without batch norm, these tell 0..255 from ranges of unit size; first
# layers trained on 0..255 as they are keep their small biases, so they count less.
SCORES_SIZE, FIRST_LAYERS = 4.0, 0.25
TINY = float(np.finfo(np.float32).tiny)

Oddness = Callable[[Mapping[str, Array]], float]


def oddness(teacher: "Teacher") -> Oddness:
    """A function from inputs, name -> (samples, ...), to how odd they are to a network: 0 for likely ones."""
    model = teacher.model
    first = [(n, a) for n, a in model.affines() if any(model.is_input(t.source) for t in a.weighted)]
    scores = _scores(model)

    def of(inputs: Mapping[str, Array]) -> float:
        # Values that overflow are odd, and no reason to warn.
        with np.errstate(all="ignore"):
            read = teacher.whole({n: np.moveaxis(u, 0, -1) for n, u in inputs.items()}).preactivations
            sizes = [_log(_variation(read[n]) / _bias(a)) for n, a in first if n in read]
            spreads = [_log(_spread(read[n]) / SCORES_SIZE) for n in scores if n in read]
        return FIRST_LAYERS * _mean(sizes) + _mean(spreads)

    return of


def _scores(model: ImplicitModel) -> list[str]:
    """Blocks and outputs whose pre-activations are class scores, be it before a softmax."""
    softmaxes = [b.name for b in model.blocks if b.phi.name.endswith("softmax") and is_scores(b.shape)]
    return softmaxes or [o.name for o in model.outputs if is_scores(o.shape)]


def _variation(z: Array) -> float:
    """Root mean square of what a pre-activation varies by from sample to sample, whatever its place."""
    return float(np.sqrt(z.var(axis=-1, dtype=np.float64).mean()))


def _bias(affine: Affine) -> float:
    """Root mean square of the biases; 1, the size of usual pre-activations, where there are none."""
    size = 0.0 if affine.bias is None else float(np.sqrt(np.square(affine.bias, dtype=np.float64).mean()))
    return size or 1.0


def _spread(z: Array) -> float:
    """Root mean square of scores (..., samples) around the mean of their sample."""
    scores = z.reshape(-1, z.shape[-1]).astype(np.float64)
    return float(np.sqrt(np.square(scores - scores.mean(axis=0)).mean()))


def _log(ratio: float) -> float:
    return abs(math.log(max(ratio, TINY))) if math.isfinite(ratio) else math.inf


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
