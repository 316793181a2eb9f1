"""Progress of several sparsities: the first one's survey has its own stages, each level one for the rest."""

from sim_compress.cli.stages import Stages
from sim_compress.compression import STAGES

# Part of a level's stage that is over when its rows are; then it is evaluated.
COMPRESSED = 0.9


def level_name(level: float) -> str:
    """40 %, 42.5 %: what a level's stage is called."""
    return f"{level_number(level)} %"


def level_number(level: float) -> str:
    """A sparsity in percent, as short as it can be."""
    return f"{100 * level:.10g}"


class LevelStages:
    """The stages of a display as the levels report to it."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._first: float | None = None

    def update(self, level: float, stage: str, part: float) -> None:
        """Progress of a compression at one level."""
        self._first = level if self._first is None else self._first
        if stage == STAGES[-1]:
            self._stages.update(level_name(level), COMPRESSED * part)
        elif level == self._first:
            self._stages.update(stage, part)
        else:
            self._stages.begin(level_name(level))

    def evaluated(self, level: float, part: float) -> None:
        """Progress of the evaluation of a level."""
        self._stages.update(level_name(level), COMPRESSED + (1 - COMPRESSED) * part)
