"""The results of a run's steps: each is run, or read from the run folder, when it is first asked for."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sim_compress.compression.resume import Keeper, Kept
from sim_compress.compression.resume.identity import fingerprint
from sim_compress.compression.steps.step import Pieces, Step, Turn
from sim_compress.compression.steps.target import Target

# progress(stage, finished part in [0, 1])
Progress = Callable[[str, float], None]


class Walk:
    """The steps of one target.

    Args:
        steps: every one behind its inputs.
        target: what they are run for.
        progress: called with a stage and its finished part.
        known: what steps gave for a sparser target of the same run.
        keeper: where results are kept.
    """

    def __init__(
        self,
        steps: Sequence[Step[Any]],
        target: Target,
        progress: Progress,
        known: Mapping[str, Any],
        keeper: Keeper,
    ) -> None:
        self._steps = {step.name: step for step in steps}
        self._target, self._progress, self._known, self._keeper = target, progress, known, keeper
        self._prints: dict[str, str] = {}
        # Steps that were read since the user was told of some.
        self._taken: list[str] = []
        self.results: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """The result of a step; those of its inputs are found first where it needs them."""
        if name not in self.results:
            self.results[name] = self._found(self._steps[name])
        return self.results[name]

    def _found(self, step: Step[Any]) -> Any:
        if step.shared and step.name in self._known:
            return self._known[step.name]
        own, base, key = self._print(step.name), self._base(step), self._key(step)
        if step.codec and (kept := self._keeper.get(key, own)):
            self._taken.append(step.name)
            return self._read(step, kept)
        found = [self[name] for name in step.inputs]
        known = self._known.get(step.name)
        if known is None and step.grows is not None and step.codec:
            near = self._keeper.near(key, base)
            known = None if near is None else self._read(step, near)
        # Problems are made again from what was taken.
        if self._taken and not (step.shared and step.codec is None):
            self._keeper.say(f"taken from an earlier run: {', '.join(self._taken)}")
            self._taken.clear()
        pieces = Pieces(self._keeper, key, own)
        turn = Turn(self._target, _told(step, self._target, self._progress), known, pieces)
        began = time.perf_counter()
        result = step.run(turn, *found)
        if step.codec and result is not known:
            seconds = time.perf_counter() - began
            if (kept := step.codec.write(result)) is not None:
                self._keeper.put(key, own, base, kept, seconds)
                self._keeper.drop(f"{key}.")
        self._target.storage.release()
        return result

    def _read(self, step: Step[Any], kept: Kept) -> Any:
        assert step.codec is not None
        return step.codec.read(self._target, kept, *(self[name] for name in step.codec.inputs))

    def _print(self, name: str) -> str:
        if name not in self._prints:
            step = self._steps[name]
            self._prints[name] = fingerprint(name, step.matters(self._target), self._inputs(step))
        return self._prints[name]

    def _inputs(self, step: Step[Any]) -> list[str]:
        """Fingerprints of what a step is made of."""
        return [self._print(name) for name in step.inputs]

    def _base(self, step: Step[Any]) -> str:
        """A fingerprint that results have in common of which each can go on from another."""
        if step.grows is None:
            return ""
        fixed = [self._print(name) for name in step.inputs if self._steps[name].grows is None]
        return fingerprint(step.name, step.grows(self._target), fixed)

    def _key(self, step: Step[Any]) -> str:
        """Results that serve others have one place in the folder, the others one at each target sparsity."""
        level = 100 * self._target.settings.target_sparsity
        return step.name if step.serves_others else f"{level:.10g}.{step.name}"


def _told(step: Step[Any], target: Target, progress: Progress) -> Callable[[float], None]:
    stage, begin, end = step.span(target)
    return lambda part: progress(stage, begin + (end - begin) * part)
