"""Ways to compress, one a file; which of them settings ask for is decided here and nowhere else."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from sim_compress.compression.method import Method, Unused
from sim_compress.compression.methods.baseline import BASELINE, FULL_SUPPORT
from sim_compress.compression.methods.channels import channels_at_once, channels_in_order
from sim_compress.compression.methods.convex import CONVEX, NO_OBJECTIVE
from sim_compress.compression.methods.exact import EXACT
from sim_compress.compression.methods.paper import PAPER
from sim_compress.compression.methods.sequential import SEQUENTIAL
from sim_compress.compression.rows.design import DESIGNS
from sim_compress.compression.rows.patterns import WholeChannels, pattern_of


class Deciding(Protocol):
    """The settings that decide for a method, as `Settings` has them."""

    @property
    def paper(self) -> object | None: ...
    @property
    def matching(self) -> str: ...
    @property
    def support(self) -> str: ...
    @property
    def states(self) -> str: ...
    @property
    def pattern(self) -> str: ...


def method_of(asked: Deciding, convex: bool = False) -> Method:
    """The method that settings ask for.

    Args:
        asked: the settings that decide.
        convex: whether an f and C are given in place of the objective.

    Raises:
        InputError: the pattern is none.
    """
    if asked.paper is not None:
        return PAPER
    in_order, pattern = asked.states == "regenerated", pattern_of(asked.pattern)
    if asked.matching == "exact":
        return replace(EXACT, unused=(*EXACT.unused, NO_OBJECTIVE)) if convex else EXACT
    if convex:
        return CONVEX
    if isinstance(pattern, WholeChannels):
        return channels_in_order(pattern.multiple) if in_order else channels_at_once(pattern.multiple)
    method = FULL_SUPPORT if DESIGNS[asked.support].loops else SEQUENTIAL if in_order else BASELINE
    if pattern.sparsity is None:
        return method
    fixed = Unused("allocation", (), "the pattern says itself what every row keeps")
    return replace(method, unused=(*method.unused, fixed))


def unused(method: Method, values: Mapping[str, object]) -> Iterator[tuple[str, object, str]]:
    """Settings that a method does not take: name, value and reason.

    Args:
        method: that of the run.
        values: name -> value of the settings in question.
    """
    for own in method.unused:
        if own.setting in values and values[own.setting] not in own.followed:
            yield own.setting, values[own.setting], own.reason
