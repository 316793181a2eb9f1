"""Which settings a compression would ignore: one table, by what decides the way it goes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from sim_compress.compression.patterns import channel_multiple, pattern_of


class Deciding(Protocol):
    """The settings that decide which others are used, as `Settings` has them."""

    @property
    def matching(self) -> str: ...
    @property
    def support(self) -> str: ...
    @property
    def states(self) -> str: ...
    @property
    def pattern(self) -> str: ...


@dataclass(frozen=True)
class Rule:
    """A setting that is not used.

    Attributes:
        setting: its name in `Settings`.
        when: whether it is not used, told by the settings that decide, and by a convex f and C being given.
        followed: values that say what is done anyway.
        reason: why it is not used.
    """

    setting: str
    when: Callable[[Deciding, bool], bool]
    followed: tuple[object, ...]
    reason: str


def _exact(asked: Deciding, _convex: bool) -> bool:
    return asked.matching == "exact"


def _full(asked: Deciding, _convex: bool) -> bool:
    return asked.support == "full"


def _channels(asked: Deciding, _convex: bool) -> bool:
    return bool(channel_multiple(asked.pattern))


def _fixed(asked: Deciding, _convex: bool) -> bool:
    return pattern_of(asked.pattern).sparsity is not None


def _given(_asked: Deciding, convex: bool) -> bool:
    return convex


def _on_baseline(asked: Deciding, convex: bool) -> bool:
    in_order = asked.matching == "relaxed" and asked.support == "network" and asked.states == "regenerated"
    return convex or not in_order


LEAST_SQUARES = "rows of whole channels are least squares, with no convex f and C and no penalty"
RULES = (
    Rule("allocation", _exact, (), "exact matching decides itself what every row keeps"),
    Rule("allocation", _full, ("alpha",), "full support has one alpha for all blocks"),
    Rule("allocation", _given, ("alpha",), "a convex f and C of your own have one alpha for all blocks"),
    Rule("allocation", _fixed, (), "the pattern says itself what every row keeps"),
    Rule(
        "allocation", _channels, (), "channels leave by their cost at the outputs, over all blocks together"
    ),
    Rule("states", _exact, ("baseline",), "exact matching is always on baseline states"),
    Rule("states", _full, ("baseline",), "full support is always on baseline states"),
    Rule("states", _given, ("baseline",), "a convex f and C of your own are always on baseline states"),
    Rule("nearest_rounds", _on_baseline, (None, 0), "targets are moved on regenerated states alone"),
    Rule("augment", _exact, ("none",), "exact matching takes the inputs as they are"),
    Rule("objective", _channels, (), LEAST_SQUARES),
    Rule("objective", _given, (), "a convex f of your own takes its place"),
    Rule("solver", _channels, (), LEAST_SQUARES),
)


def unused(
    asked: Deciding, values: Mapping[str, object], convex: bool = False
) -> Iterator[tuple[str, object, str]]:
    """Settings that would be ignored: name, value and reason.

    Args:
        asked: the settings that decide.
        values: name -> value of the settings in question.
        convex: whether an f and C are given in place of the objective.
    """
    for rule in RULES:
        if rule.setting in values and rule.when(asked, convex):
            value = values[rule.setting]
            if value not in rule.followed:
                yield rule.setting, value, rule.reason
