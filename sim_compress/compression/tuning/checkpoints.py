"""The values of a descent after every epoch, from which a later process goes on."""

import time

from sim_compress.compression.resume import Kept, Pieces
from sim_compress.compression.tuning.adam import Adam

# Name of the piece: each epoch takes the place of the one before it.
EPOCH = "epoch"


def first_try(pieces: Pieces) -> int:
    """The try in which an earlier process was; those before it did not match better."""
    kept = pieces.get(EPOCH)
    return 0 if kept is None else int(kept.fields["try"])


class Checkpoints:
    """Of one try.

    Args:
        pieces: where they are kept.
        number: of the try.
        epochs: that it takes.
    """

    def __init__(self, pieces: Pieces, number: int, epochs: int) -> None:
        self._pieces, self._number, self._epochs = pieces, number, epochs
        self._began = time.perf_counter()

    def restored(self, adam: Adam) -> int:
        """Epochs that are done already; their values are those of the optimiser now."""
        kept = self._pieces.get(EPOCH)
        if kept is None or kept.fields["try"] != self._number:
            return 0
        adam.restore([kept.arrays[str(n)] for n in range(len(kept.arrays))], kept.fields["steps"])
        done = int(kept.fields["epochs"])
        self._pieces.say(f"goes on after epoch {done} of {self._epochs}")
        return done

    def keep(self, adam: Adam, done: int) -> None:
        """Keep the values after so many epochs."""
        now = time.perf_counter()
        seconds, self._began = now - self._began, now
        arrays = {str(n): a.copy() for n, a in enumerate(adam.state)}
        fields = {"try": self._number, "epochs": done, "steps": adam.number}
        self._pieces.put(EPOCH, Kept(arrays, fields), seconds)
