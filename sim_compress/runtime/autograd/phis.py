"""phi in torch: one function for every name of `activations.KINDS`.

Each takes z (samples, *z_shape) and the attributes of the phi, and gives x (samples, *x_shape). Where phi
jumps its gradient is zero.
"""

from torch import Tensor

from sim_compress.activations import Activation
from sim_compress.errors import UnsupportedError
from sim_compress.runtime.autograd import groups, several, single
from sim_compress.runtime.autograd.single import Function

PHIS: dict[str, Function] = {**single.PHIS, **groups.PHIS, **several.PHIS}


def check_phi(phi: Activation) -> None:
    """Refuse a phi without a function.

    Raises:
        UnsupportedError: with its name.
    """
    if phi.name not in PHIS:
        raise UnsupportedError(f"phi {phi.name!r} has no torch function: use a numpy kernel for this model")


def apply_phi(phi: Activation, z: Tensor) -> Tensor:
    """x = phi(z), samples on the first axis."""
    return PHIS[phi.name](z, phi.attributes)
