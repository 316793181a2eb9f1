"""The operations whose code is compiled when a program first has them."""

import numpy as np
from numpy.typing import NDArray

from sim_compress.runtime.compiled.code import (
    elementwise_code,
    entrywise_code,
    gating_code,
    lookup_code,
    matrix_code,
    normalising_code,
    phased_code,
    pooling_code,
)
from sim_compress.runtime.compiled.code.calls import write_addresses
from sim_compress.runtime.compiled.code.operations import (
    Elementwise,
    Entrywise,
    Gated,
    LookedUp,
    MatrixProduct,
    Normalisation,
    PhasedSum,
    Pooled,
)

APART = {
    PhasedSum.CODE: phased_code.phased_sum,
    MatrixProduct.CODE: matrix_code.matrix_product,
    Normalisation.CODE: normalising_code.normalisation,
    Elementwise.CODE: elementwise_code.elementwise,
    Pooled.CODE: pooling_code.pooled,
    Entrywise.CODE: entrywise_code.entrywise,
    Gated.CODE: gating_code.gated,
    LookedUp.CODE: lookup_code.looked_up,
}


def make_callable(ops: NDArray[np.int64]) -> None:
    """Compile what the operations of a program need, and write where it is into their rows."""
    write_addresses(ops, APART)
