"""One run: targets of one prepared network, which share what does not depend on the sparsity."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sim_compress.compression.compressed import Compressed, finished
from sim_compress.compression.memory import MemoryPlan, memory_plan
from sim_compress.compression.prepared import Prepared
from sim_compress.compression.resume import NOWHERE, RunFolder
from sim_compress.compression.resume.identity import run_of
from sim_compress.compression.settings import Settings
from sim_compress.compression.steps.step import Step
from sim_compress.compression.steps.target import Target
from sim_compress.compression.steps.walk import Progress, Walk
from sim_compress.core.engines import Engine, one_blas_thread
from sim_compress.errors import InputError

STAGES = ("states", "allocation", "rows")


class Run:
    """Compressions of one network with one method.

    Args:
        ready: the network, its inputs and the method.
        folder: where results of steps are kept; nowhere where there is none.
        memory: bytes that the run may take; what is free if not given.
        densest: the target that takes most memory, where there are several.

    Raises:
        InputError: the folder is of another run, damaged or in use.
    """

    def __init__(
        self,
        ready: Prepared,
        folder: RunFolder | None = None,
        memory: int | None = None,
        densest: Settings | None = None,
    ) -> None:
        if folder is not None:
            if ready.convex is not None:
                raise InputError(
                    "a function f and C of your own cannot be compared with that of an earlier run: leave "
                    "the run folder out"
                )
            folder.open(run_of(ready))
        self._ready, self._memory, self._densest = ready, memory, densest
        self._plan: MemoryPlan | None = None
        self._keeper = NOWHERE if folder is None else folder
        # Target sparsity -> results that serve denser targets.
        self._known: dict[float, dict[str, Any]] = {}

    def surveyed(self, settings: Settings, progress: Progress, engine: Engine) -> dict[str, Any]:
        """Results, by name, of the steps that denser targets go on from; the others are not run."""
        target = self._target(settings, engine)
        steps = [s for s in self._ready.method.steps(target) if s.serves_others]
        return self._walked(target, steps, [s.name for s in steps], progress).results

    def compressed(self, settings: Settings, progress: Progress, engine: Engine) -> Compressed:
        """The compression to the settings' targets; errors as for `compress`.

        All settings of a run differ in their target sparsity alone; so may the engine.
        """
        target = self._target(settings, engine)
        steps = self._ready.method.steps(target)
        found = finished(target, self._walked(target, steps, [steps[-1].name], progress))
        progress(STAGES[-1], 1.0)
        return found

    def _target(self, settings: Settings, engine: Engine) -> Target:
        target = Target(self._ready, settings, engine)
        # Refused before any work where the biases alone are more than what may stay.
        _ = target.counts
        if self._plan is None:
            # Later targets find memory taken by what they share with the first.
            largest = replace(target, settings=self._densest or settings)
            self._plan = memory_plan(largest, self._memory)
            self._plan.check()
            self._storage = self._plan.storage
        room = self._plan.room
        return replace(
            target,
            engine=self._plan.engine(engine),
            storage=self._storage,
            gram_bytes=room.grams if room.passes > 1 else None,
        )

    def _walked(
        self, target: Target, steps: Sequence[Step[Any]], names: Sequence[str], progress: Progress
    ) -> Walk:
        """Steps of which some are asked for, which go on from those of the nearest sparser target."""
        own = target.settings.target_sparsity
        sparser = [level for level in self._known if level >= own]
        known = self._known[min(sparser)] if sparser else {}
        walk = Walk(steps, target, progress, known, self._keeper)
        # Batches and rows have threads of their own; the result then is the same on any number of cores.
        with one_blas_thread():
            for name in names:
                _ = walk[name]
        serving = {s.name for s in steps if s.serves_others}
        self._known[own] = {**known, **{n: r for n, r in walk.results.items() if n in serving}}
        return walk
