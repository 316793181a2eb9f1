"""What the user asks of a compression."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from sim_compress.compression.method import Method
from sim_compress.compression.rows.design import DESIGNS, Design
from sim_compress.compression.rows.patterns import UNSTRUCTURED, pattern_of
from sim_compress.compression.rows.problems import PENALTIES
from sim_compress.errors import InputError
from sim_compress.model import VALUES

OBJECTIVES = tuple(PENALTIES)
SUPPORTS = tuple(DESIGNS)
STATES = ("regenerated", "baseline")
MATCHINGS = ("relaxed", "exact")
ALLOCATIONS = ("output", "alpha", "uniform")
AUGMENTS = ("mirror", "none")
CHOICES = {
    "objective": OBJECTIVES,
    "support": SUPPORTS,
    "states": STATES,
    "matching": MATCHINGS,
    "values": VALUES,
    "allocation": ALLOCATIONS,
    "augment": AUGMENTS,
}


@dataclass(frozen=True)
class Settings:
    """What the user asks for.

    Attributes:
        target_sparsity: 1 - nnz(M) / nnz(teacher's M) over the rows that are compressed, in (0, 1).
        objective: `perspective` (paper eq. 4) or `l1` (eq. 6).
        kappa: bound on the inf-norm of A in scaled coordinates, in (0, 1).
        support: what a row may use: `network`, the sources it has in the network; `full`, every state
            and every input (dense networks only; the result has loops and inference iterates).
        states: what designs are made of: `regenerated`, block by block from the compressed model, so that
            later rows repair earlier errors; `baseline`, the teacher's own (Algorithm 1 as printed), so
            that all rows can be solved side by side. Full support has no first block: it is always
            baseline.
        matching: `relaxed` (eq. 7), or `exact` (eq. 2, 8, 9): the least objective among the rows that give
            the teacher's states on every sample. It decides the sparsity itself; a target that it
            does not reach is refused. Always on baseline states.
        allocation: how nonzeros are shared out between blocks: `output`, by what each block's sparsity does
            to the outputs, measured; `alpha`, one alpha for all blocks, so the same price of relative error
            everywhere; `uniform`, the same sparsity in each. Full support is always `alpha`: no block of it
            could be tried alone.
        nearest_rounds: refits of each block to targets moved where its phi is flat (ReLU-aware matching), on
            regenerated states; None for 2 where they cost little or the values are not tuned afterwards,
            else none.
        augment: what is added to the calibration inputs: `mirror`, the mirror images of few images, where
            the network gives mirror images the classes of their originals; `none`. Exact matching takes
            the inputs as they are.
        tune: epochs of gradient descent over the values of all blocks together, after the rows are solved,
            0 for none; None for as many as pay, which is none with baseline states, full support or exact
            matching, with loops, whose values kappa bounds, and for large networks.
        robust: how far entries of inputs move, in l-infinity, when values are tuned to keep the network's
            classes there (`tuning.robust`); one number, or one for each channel. None: values are tuned to
            have the network's states and outputs.
        solver: of the convex problem at a block's alpha: `native`, or a conic one through cvxpy.
        ignore: patterns of blocks that keep the teacher's rows. A pattern is a regular expression that
            matches a whole name of a block, node or module.
        only: patterns of the blocks that are compressed, all if there are none.
        targets: pattern -> target sparsity of its blocks together, in place of `target_sparsity`; of
            several that match a block the last one counts.
        pattern: what supports must look like: `unstructured`; `N:M`, at most N of every M neighbours in a
            row, which fixes the sparsity; `block:RxC`, tiles of R rows times C neighbours kept or dropped
            together; `channels`, whole rows and columns, so that states
            shrink, and `channels:N`, which keeps multiples of N of them. Neighbours are consecutive
            inputs, of a convolution consecutive input channels.
        values: format that every weight is rounded to: `float32`, `float16` or `bfloat16`. Biases stay
            float32.

    Raises:
        InputError: a value lies outside its range, or would be ignored beside the others.
    """

    target_sparsity: float
    objective: str = "perspective"
    kappa: float = 0.99
    support: str = "network"
    states: str = "regenerated"
    allocation: str = "output"
    nearest_rounds: int | None = None
    augment: str = "mirror"
    tune: int | None = None
    robust: float | tuple[float, ...] | None = None
    solver: str = "native"
    matching: str = "relaxed"
    ignore: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    targets: Mapping[str, float] = field(default_factory=dict)
    pattern: str = UNSTRUCTURED
    values: str = "float32"

    @property
    def design(self) -> Design:
        """What rows may use."""
        return DESIGNS[self.support]

    def method(self, convex: bool = False) -> Method:
        """The method that these settings ask for, with an f and C of the user's or without.

        Raises:
            InputError: a setting would be ignored, or contradicts it.
        """
        # Methods know the settings.
        from sim_compress.compression.methods import method_of, unused

        method = method_of(self, convex)
        method.check(self)
        if (self.tune or self.robust is not None) and method.untunable:
            raise InputError(method.untunable)
        # A default is no wish.
        asked = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != f.default}
        for name, value, reason in unused(method, asked):
            raise InputError(f"{name}={value!r} would be ignored: {reason}; leave it out")
        return method

    def __post_init__(self) -> None:
        for target in (self.target_sparsity, *self.targets.values()):
            if not 0 < target < 1:
                raise InputError(f"target sparsity must lie strictly between 0 and 1, got {target}")
        _check_fixed(self)
        for pattern in (*self.ignore, *self.only, *self.targets):
            _check_pattern(pattern)
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)!r}; choose one of {', '.join(known)}")
        if self.nearest_rounds is not None and self.nearest_rounds < 0:
            raise InputError(f"nearest rounds must not be negative, got {self.nearest_rounds}")
        if self.tune is not None and self.tune < 0:
            raise InputError(f"epochs of tuning must not be negative, got {self.tune}")
        if self.robust is not None:
            _check_robust(self)
        if not 0 < self.kappa < 1:
            raise InputError(f"kappa must lie strictly between 0 and 1, got {self.kappa}")
        self.method()


def _check_fixed(settings: Settings) -> None:
    """InputError unless a pattern that fixes the sparsity goes with the targets."""
    if (removed := pattern_of(settings.pattern).sparsity) is None:
        return
    for target in (settings.target_sparsity, *settings.targets.values()):
        if not math.isclose(target, removed, abs_tol=1e-9):
            raise InputError(
                f"the pattern {settings.pattern} removes {100 * removed:g} % of every row, and a sparsity of "
                f"{100 * target:g} % is asked: ask for {100 * removed:g} % or another pattern"
            )


def _check_robust(settings: Settings) -> None:
    """InputError unless inputs move by something, and values are tuned."""
    epsilons = np.atleast_1d(np.asarray(settings.robust, float))
    if not ((epsilons > 0) & np.isfinite(epsilons)).all():
        raise InputError(f"robust={settings.robust}: expected how far inputs move, a number above 0")
    if settings.tune == 0:
        raise InputError(
            f"robust={settings.robust} is how values are tuned, and tune=0 leaves them: give one"
        )


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise InputError(f"the pattern {pattern!r} is no regular expression: {error}") from error
