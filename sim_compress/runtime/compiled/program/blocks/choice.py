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

from math import prod

from sim_compress.model import Affine, Patches, weight_shape

# Channels that a block reads, from which on phases are faster.
MANY = 96


def in_phases(affine: Affine) -> bool:
    """Whether the rows of an image are summed in phases."""
    channels = 0
    for term in affine.terms:
        if term.weight is not None:
            kernels = [prod(step.kernel) for step in term.maps if isinstance(step, Patches)]
            channels += weight_shape(term.weight)[1] // prod(kernels)
    return channels >= MANY
