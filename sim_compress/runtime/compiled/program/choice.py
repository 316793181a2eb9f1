"""Which kernel sums the rows of an image: blocks of rows (`tiled.py`) or phases of columns (`phased.py`).

Chosen by `tools/bench/runtime.py` on one AMD EPYC (Zen 4), AVX2 and AVX-512, at 80 %: onnxruntime's time over
ours with blocks alone and with phases alone

    ResNet-50 at 224        1.00 -> 1.50 (AVX2)    1.35 -> 1.55 (AVX-512)
    SqueezeNet 1.1          1.14 -> 1.19           1.22 -> 1.12
    MobileNet v2            0.67 -> 0.77           0.78 -> 0.80
    ResNet-20 at 32         2.43 -> 2.38           3.32 -> 2.76

Few channels stay in the first cache as they are, and four rows that share a column load it once. Many
channels leave it before the next rows come to them.
"""

from sim_compress.model import Affine, chain_shape
from sim_compress.model.maps import Patches
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.program.context import Context

# Channels that a block reads, from which on phases are faster.
MANY = 96


def in_phases(context: Context, affine: Affine) -> bool:
    """Whether the rows of an image are summed in phases."""
    return sum(_channels(context, affine)) >= MANY


def _channels(context: Context, affine: Affine) -> list[int]:
    """Channels that each term with a weight reads."""
    found = []
    for term in affine.weighted:
        before = [step for step in term.maps if not isinstance(step, Patches)]
        shape = context.values[term.source].form.shape
        found.append(Form(chain_shape(before, shape)).channels)
    return found
