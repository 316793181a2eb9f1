"""What one run is asked for: a prepared network, settings, and what follows from both."""

from dataclasses import dataclass
from functools import cached_property

from sim_compress.compression.allocation.counts import counts_to_keep
from sim_compress.compression.allocation.scope import Part, parts
from sim_compress.compression.prepared import Prepared
from sim_compress.compression.settings import Settings
from sim_compress.compression.tuning.effort import most_epochs, nearest_rounds
from sim_compress.core.engines import Engine
from sim_compress.model import Affine
from sim_compress.storage import IN_MEMORY, Storage


@dataclass(frozen=True, eq=False)
class Target:
    """One network at one sparsity.

    Attributes:
        ready: the network and its inputs.
        settings: what is asked.
        engine: runs what is independent: batches of samples, row groups, trials.
        storage: where the large arrays lie.
        gram_bytes: bytes of Grams that one pass over the inputs makes; None for all.
    """

    ready: Prepared
    settings: Settings
    engine: Engine
    storage: Storage = IN_MEMORY
    gram_bytes: int | None = None

    @cached_property
    def scope(self) -> tuple[Part, ...]:
        """The blocks that are compressed, by target."""
        teacher = self.ready.teacher
        return parts(teacher.model, teacher.nodes, self.settings)

    @cached_property
    def counts(self) -> list[int]:
        """Weights and new biases that each part keeps.

        Raises:
            InputError: the biases alone exceed a target.
        """
        return counts_to_keep(self.ready.teacher.model, self.scope)

    @cached_property
    def affines(self) -> dict[str, Affine]:
        """The design of every block that is compressed."""
        inside = {n for part in self.scope for n in part.names}
        return {n: a for n, a in self.ready.affines.items() if n in inside}

    @cached_property
    def epochs(self) -> int:
        """Epochs of tuning at most."""
        return most_epochs(self.ready, self.settings)

    @cached_property
    def rounds(self) -> int:
        """Refits of every block to moved targets."""
        return nearest_rounds(self.ready, self.settings, self.epochs)
