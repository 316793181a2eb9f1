"""One run: targets of one prepared network, which share what does not depend on the sparsity."""

from collections.abc import Sequence
from typing import Any

from sim_compress.compression.compressed import Compressed, finished
from sim_compress.compression.prepared import Prepared
from sim_compress.compression.settings import Settings
from sim_compress.compression.steps.step import Progress, Step, walk
from sim_compress.compression.steps.target import Target
from sim_compress.core.engines import Engine, one_blas_thread

STAGES = ("states", "allocation", "rows")


class Run:
    """Compressions of one network with one method.

    Args:
        ready: the network, its inputs and the method.
        engine: runs row groups of baseline states; this process where there is none.
    """

    def __init__(self, ready: Prepared, engine: Engine | None) -> None:
        self._ready, self._engine = ready, engine
        # Target sparsity -> results that serve denser targets.
        self._known: dict[float, dict[str, Any]] = {}

    def surveyed(self, settings: Settings, progress: Progress) -> dict[str, Any]:
        """Results, by name, of the steps that denser targets go on from; the others are not run."""
        target = self._target(settings)
        steps = [s for s in self._ready.method.steps(target) if s.serves_others]
        return self._walk(target, steps, progress)

    def compressed(self, settings: Settings, progress: Progress) -> Compressed:
        """The compression to the settings' targets; errors as for `compress`.

        All settings of a run differ in their target sparsity alone.
        """
        target = self._target(settings)
        found = finished(target, self._walk(target, self._ready.method.steps(target), progress))
        progress(STAGES[-1], 1.0)
        return found

    def _target(self, settings: Settings) -> Target:
        target = Target(self._ready, settings, self._engine)
        # Refused before any work where the biases alone are more than what may stay.
        _ = target.counts
        return target

    def _walk(self, target: Target, steps: Sequence[Step[Any]], progress: Progress) -> dict[str, Any]:
        """Results of steps, which go on from those of the nearest sparser target."""
        own = target.settings.target_sparsity
        sparser = [level for level in self._known if level >= own]
        known = self._known[min(sparser)] if sparser else {}
        # Batches and rows have threads of their own; the result then is the same on any number of cores.
        with one_blas_thread():
            results = walk(steps, target, progress, known)
        self._known[own] = {s.name: results[s.name] for s in steps if s.serves_others}
        return results
