"""What of a step is done before all of it is."""

from dataclasses import dataclass

from sim_compress.compression.resume.folder import NOWHERE, Keeper
from sim_compress.compression.resume.kept import Kept


@dataclass(frozen=True, eq=False)
class Pieces:
    """Parts of one result, in the run folder.

    Attributes:
        keeper: where they are kept.
        key: of the step; those of its pieces begin with it.
        fingerprint: of the step.
    """

    keeper: Keeper = NOWHERE
    key: str = ""
    fingerprint: str = ""

    def get(self, name: str | int) -> Kept | None:
        """A piece that is there."""
        return self.keeper.get(f"{self.key}.{name}", self.fingerprint)

    def put(self, name: str | int, kept: Kept, seconds: float) -> None:
        """Keep a piece, which took so long, in place of an older one of that name."""
        self.keeper.put(f"{self.key}.{name}", self.fingerprint, "", kept, seconds)

    def say(self, text: str) -> None:
        """Tell the user how the step goes on."""
        self.keeper.say(text)


NO_PIECES = Pieces()
