"""How many weights and new biases a target sparsity leaves."""

from collections.abc import Collection, Sequence

import numpy as np

from sim_compress.compression.allocation.scope import Part
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel


def counts_to_keep(model: ImplicitModel, scope: Sequence[Part]) -> list[int]:
    """Weights that each part of the network keeps."""
    own = {n: a for n, a in model.affines() if model.owns(n)}
    return [weights_to_keep([own[n] for n in part.names if n in own], part.target) for part in scope]


def weights_to_keep(affines: Collection[Affine], target_sparsity: float) -> int:
    """Weights and new biases that the given rows may have beside the biases of the network.

    Raises:
        InputError: the biases alone exceed the target; the message gives the highest sparsity to ask.
    """
    biases, parameters = _biases(affines), sum(a.nnz for a in affines)
    count = round((1 - target_sparsity) * parameters) - biases
    if count < 1:
        raise InputError(
            f"a sparsity of {100 * target_sparsity:g} % keeps {count + biases} of {parameters} parameters, "
            f"not more than the {biases} biases: ask for less than {100 * (1 - biases / parameters):.1f} %"
        )
    return count


def highest_sparsity(affines: Collection[Affine], resolution: int) -> int:
    """The largest n for which n / resolution can be asked of the given rows, below 1; 0 where none can."""
    biases, parameters = _biases(affines), sum(a.nnz for a in affines)
    return next(
        (n for n in range(resolution - 1, 0, -1) if round((1 - n / resolution) * parameters) > biases), 0
    )


def _biases(affines: Collection[Affine]) -> int:
    """Those that the network has, which stay."""
    return sum(int(np.count_nonzero(a.bias)) for a in affines if a.bias is not None)
