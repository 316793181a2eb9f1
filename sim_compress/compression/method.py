"""What a way to compress says of itself: the settings it takes and the steps it runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim_compress.compression.rows.problems import DAMPING

if TYPE_CHECKING:
    from sim_compress.compression.allocation.plan import Plan
    from sim_compress.compression.allocation.scope import Part
    from sim_compress.compression.settings import Settings
    from sim_compress.compression.steps.step import Step
    from sim_compress.compression.steps.target import Target
    from sim_compress.model import Affine

# A sentence, and the block it is about where there is one.
Reason = tuple[str, str | None]


@dataclass(frozen=True)
class Unused:
    """A setting that a method does not take.

    Attributes:
        setting: its name in `Settings`.
        followed: values that say what is done anyway.
        reason: why it is not taken.
    """

    setting: str
    followed: tuple[object, ...]
    reason: str


def _any(_settings: "Settings") -> None:
    """Nothing else is refused."""


@dataclass(frozen=True)
class Method:
    """A way to compress a network.

    Attributes:
        name: in one word.
        steps: of a run for a target, in order; the last one gives the model with its tuning.
        unused: settings that it does not take.
        missed: why a part of the network is not as sparse as was asked, from the settings, the plan, the part
            and the rows that came of it.
        check: raises InputError for settings that contradict it.
        damping: strength of the pull of rows towards the network's, times features per data point.
        mirrors: whether mirror images of the inputs may serve.
        tunes: whether values are tuned where nobody asks for it.
        ties_tables: whether rows that ids are looked up in stay those of the lookup; else the table is left
            as it is, since rows that read other sources or match exactly cannot be those of a table as well.
        untunable: why values may not be tuned; None where they may.
        several: why it cannot be asked for several sparsities; None where it can.
        decides: whether it decides the sparsity itself, and none is asked for.
        passes: over the calibration inputs for one target sparsity, baseline states included.
    """

    name: str
    steps: "Callable[[Target], Sequence[Step[Any]]]"
    unused: tuple[Unused, ...]
    missed: "Callable[[Settings, Plan, Part, Mapping[str, Affine]], Reason]"
    check: "Callable[[Settings], None]" = _any
    damping: float = DAMPING
    mirrors: bool = True
    tunes: bool = False
    ties_tables: bool = True
    untunable: str | None = None
    several: str | None = None
    passes: int = 1
    decides: bool = False
