"""The door to the torch runtime: torch is loaded when a module is asked for."""

from typing import TYPE_CHECKING

from sim_compress.errors import MissingExtraError
from sim_compress.model import ImplicitModel
from sim_compress.runtime.fixed_point import Tolerance

if TYPE_CHECKING:
    from sim_compress.runtime.autograd.module import ImplicitModule


def torch_module(model: ImplicitModel, tolerance: Tolerance, purpose: str) -> "ImplicitModule":
    """The model as a torch.nn.Module.

    Args:
        model: the implicit model.
        tolerance: when the fixed point of a loop counts as reached.
        purpose: what needs it, for the message where torch is missing.

    Raises:
        MissingExtraError: torch is not installed.
        UnsupportedError: a phi or map has no torch function.
    """
    try:
        from sim_compress.runtime.autograd.module import ImplicitModule
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "torch", purpose) from error
    return ImplicitModule(model, tolerance)
