"""What the user asks of a compression."""

from dataclasses import dataclass

from sim_compress.errors import InputError

OBJECTIVES = ("perspective", "l1")
SUPPORTS = ("network", "full")
STATES = ("regenerated", "baseline")


@dataclass(frozen=True)
class Settings:
    """What the user asks for.

    Attributes:
        target_sparsity: 1 - nnz(M) / nnz(teacher's M), in (0, 1).
        objective: `perspective` (paper eq. 4) or `l1` (eq. 6).
        kappa: bound on the inf-norm of A in scaled coordinates, in (0, 1).
        support: what a row may use: `network`, the sources it has in the network; `full`, every state
            and every input (dense networks only; the result has loops and inference iterates).
        states: what designs are made of: `regenerated`, block by block from the compressed model, so that
            later rows repair earlier errors; `baseline`, the teacher's own (Algorithm 1 as printed), so
            that all rows can be solved side by side. Full support has no first block: it is always
            baseline.
        solver: of the convex problem at the network's alpha: `native`, or a conic one through cvxpy.

    Raises:
        InputError: a value lies outside its range.
    """

    target_sparsity: float
    objective: str = "perspective"
    kappa: float = 0.99
    support: str = "network"
    states: str = "regenerated"
    solver: str = "native"

    def __post_init__(self) -> None:
        if not 0 < self.target_sparsity < 1:
            raise InputError(f"target sparsity must lie strictly between 0 and 1, got {self.target_sparsity}")
        if self.objective not in OBJECTIVES:
            raise InputError(f"unknown objective {self.objective!r}; choose one of {', '.join(OBJECTIVES)}")
        if self.support not in SUPPORTS:
            raise InputError(f"unknown support {self.support!r}; choose one of {', '.join(SUPPORTS)}")
        if self.states not in STATES:
            raise InputError(f"unknown states {self.states!r}; choose one of {', '.join(STATES)}")
        if not 0 < self.kappa < 1:
            raise InputError(f"kappa must lie strictly between 0 and 1, got {self.kappa}")
