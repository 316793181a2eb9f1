"""How one case of a fuzz run may end."""

from dataclasses import dataclass

REFUSED, AGREED, ROUNDING = "refused by name", "agreed", "agreed but for rounding"
CRASHED, HUNG, DISAGREED, OVER_MEMORY = "crashed", "hung", "disagreed", "over memory"
FAULTS = (CRASHED, HUNG, DISAGREED, OVER_MEMORY)
OUTCOMES = (REFUSED, AGREED, ROUNDING, *FAULTS)


@dataclass(frozen=True)
class Verdict:
    """One case and what became of it.

    Attributes:
        case: its number; with the seed it makes the case again.
        kind: the way its file was spoilt.
        outcome: one of OUTCOMES.
        detail: where it is a fault, what happened; where it is refused, the message.
        memory: most bytes beyond those held before.
        seconds: of processor time.
    """

    case: int
    kind: str
    outcome: str
    detail: str = ""
    memory: int = 0
    seconds: float = 0.0
