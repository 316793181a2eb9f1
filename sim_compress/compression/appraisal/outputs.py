"""A compressed model on its calibration inputs: the error of its outputs, what is wrong, and where it begins.

Every run ends with it, so that no model is handed over in silence that is not what was asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.engines import Engine, Shared
from sim_compress.errors import ConvergenceError
from sim_compress.model import ImplicitModel, channel_axes
from sim_compress.model.maps import Array
from sim_compress.runtime import preactivation, schedule
from sim_compress.states import Outputs, Step, Teacher, dense_product, settle
from sim_compress.states.batches import Values, converted, shared_batches, under_way

Kind = Literal["sparsity", "not finite", "no equilibrium", "constant output", "output error"]
# Calibration inputs at most, spread over all of them: 512 took 1.4 s of processor time on a ResNet-20.
SAMPLES = 256
# An output that varies by less than this part of the network's variance is a constant.
CONSTANT = 1e-6
# Variance below this part of the second moment is float32 rounding.
SAME = 1e-12
# An error of this part of the variance, up to a sparsity of MODERATE, says that something went wrong.
LARGE, MODERATE = 0.5, 0.5
# Entries of which means are held one by one; those of larger outputs and states are held by channel.
HELD = 2**20

Kept = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Finding:
    """Something a user must know before the model is used.

    Attributes:
        kind: what sort of thing it is.
        text: a sentence.
        block: the block or output where it begins; None where it is in no one.
    """

    kind: Kind
    text: str
    block: str | None = None


@dataclass(frozen=True)
class Appraisal:
    """A model on its calibration inputs.

    Attributes:
        errors: output name -> mean squared error relative to the network's variance over the inputs, 1 for
            the best constant; None where the network's does not vary or the model's is not finite.
        findings: what is wrong with the outputs.
    """

    errors: Mapping[str, float | None]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Sums:
    """Sums of one output or state over samples, by entry; where the network is not finite nothing counts."""

    samples: int
    wanted: Array
    wanted_squares: Array
    found: Array
    found_squares: Array
    error: float
    bad: int

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def error_of_variance(self) -> float | None:
        """None where there is no such number."""
        variance = _variance(self.samples, self.wanted, self.wanted_squares)
        if self.bad or variance <= SAME * self.wanted_squares.sum():
            return None
        return float(self.error / variance)

    @property
    def constant(self) -> bool:
        """Whether the model's does not vary and the network's does."""
        varied = _variance(self.samples, self.wanted, self.wanted_squares)
        left = _variance(self.samples, self.found, self.found_squares)
        return bool(varied > SAME * self.wanted_squares.sum() and left <= CONSTANT * varied)


def appraised(
    teacher: Teacher,
    model: ImplicitModel,
    inputs: Mapping[str, Array],
    kept: Kept,
    asked: float,
    engine: Engine,
) -> Appraisal:
    """The outputs of a model beside its teacher's, and where in the network they go wrong.

    Args:
        teacher: the network.
        model: blocks and outputs of the same names.
        inputs: calibration inputs, name -> (samples, ...).
        kept: block name -> which of its channels the model has, where some left.
        asked: the sparsity, which says how much error is to be expected.
        engine: computes batches side by side.
    """
    total = len(next(iter(inputs.values())))
    chosen = np.linspace(0, total - 1, min(total, SAMPLES)).round().astype(int)
    few = {name: u[chosen] for name, u in inputs.items()}
    compared = _Compared(teacher.model, model, teacher.whole, teacher.outputs, kept)
    try:
        outputs = _summed(compared, few, engine, _outputs)
    except ConvergenceError as error:
        text = f"on the calibration inputs {error}"
        return Appraisal(dict.fromkeys(o.name for o in model.outputs), (Finding("no equilibrium", text),))
    errors = {name: sums.error_of_variance for name, sums in outputs.items()}
    faults: dict[str, Kind] = {}
    for name, sums in outputs.items():
        if (kind := _fault(sums, asked)) is not None:
            faults[name] = kind
    if not faults:
        return Appraisal(errors, ())
    states = _summed(compared, few, engine, _states)
    return Appraisal(
        errors, tuple(_finding(name, kind, outputs[name], states) for name, kind in faults.items())
    )


def _fault(sums: _Sums, asked: float) -> Kind | None:
    """What is wrong with an output or a state, the worst first."""
    if sums.bad:
        return "not finite"
    if sums.constant:
        return "constant output"
    error = sums.error_of_variance
    return "output error" if asked <= MODERATE and error is not None and error > LARGE else None


def _finding(name: str, kind: Kind, sums: _Sums, states: Mapping[str, _Sums]) -> Finding:
    """What is wrong with an output, and the first block of which the same holds."""
    begins = next((block for block, own in states.items() if _fault(own, 0.0) == kind), None)
    what = {
        "not finite": f"is not finite for {sums.bad:,} of {sums.samples:,} calibration inputs",
        "constant output": "is the same for all calibration inputs, and the network's is not",
        "output error": f"has an error of {sums.error_of_variance or 0:.2f} of its variance",
    }[kind]
    where = f"in block {begins!r}" if begins else "in its own rows"
    advice = "ask for less, leave the block as it is (ignore), or give more inputs as the network sees them"
    return Finding(kind, f"output {name!r} {what}; it begins {where}: {advice}", begins or name)


@dataclass(frozen=True)
class _Compared:
    """A model beside its teacher's.

    Attributes:
        theirs: the teacher's model.
        ours: the sparse one.
        step, outputs: of the teacher.
        kept: block name -> which of its channels the sparse model has.
    """

    theirs: ImplicitModel
    ours: ImplicitModel
    step: Step
    outputs: Outputs
    kept: Kept


@dataclass(frozen=True)
class _Batch:
    """One batch as a task."""

    compared: Shared[_Compared]
    inputs: Shared[Values]

    @property
    def values(self) -> Values:
        return converted(self.compared.value.theirs.inputs, self.inputs.value)


def _summed(
    compared: _Compared,
    inputs: Mapping[str, Array],
    engine: Engine,
    sums: Callable[[_Batch], dict[str, _Sums]],
) -> dict[str, _Sums]:
    """Sums over all batches."""
    shared = engine.share(compared)
    parts = shared_batches(engine, compared.theirs, inputs)
    total: dict[str, _Sums] = {}
    for found in engine.map(sums, [_Batch(shared, part) for part in parts], under_way(engine)):
        total = {name: total[name] + own if name in total else own for name, own in found.items()}
    for gone in (shared, *parts):
        gone.drop()
    return total


# Values that overflow are what is looked for.
@np.errstate(all="ignore")
def _outputs(batch: _Batch) -> dict[str, _Sums]:
    compared, values = batch.compared.value, batch.values
    wanted = compared.outputs(values)
    for states, dead in _evaluated(compared.ours, values):
        values |= states
        for name in dead:
            values.pop(name, None)
    found = {o.name: preactivation(o.affine, values, dense_product) for o in compared.ours.outputs}
    return {name: _sums(y, wanted[name]) for name, y in found.items()}


@np.errstate(all="ignore")
def _states(batch: _Batch) -> dict[str, _Sums]:
    """Blocks in order of evaluation."""
    compared, values, found = batch.compared.value, batch.values, dict[str, _Sums]()
    wanted, axes = compared.step(values).states, channel_axes(compared.theirs)
    for states, _ in _evaluated(compared.ours, values):
        values |= states
        for name, x in states.items():
            teachers = wanted[name]
            if name in compared.kept:
                teachers = np.compress(compared.kept[name], teachers, axis=axes[name])
            found[name] = _sums(x, teachers)
    return found


def _evaluated(model: ImplicitModel, values: Values) -> Iterator[tuple[Values, tuple[str, ...]]]:
    """States stage by stage, which the caller adds to the values, and what nothing reads after each."""
    for stage in schedule(model):
        yield settle(stage, values), stage.dead


def _sums(found: Array, wanted: Array) -> _Sums:
    """Of one batch, both (*shape, samples)."""
    samples = wanted.shape[-1]
    entries = wanted.size // samples
    whole = found.reshape(entries, samples) if entries <= HELD else found.reshape(len(found), -1)
    y, t = whole.astype(np.float64), wanted.reshape(whole.shape).astype(np.float64)
    usable = np.isfinite(t)
    broken = usable & ~np.isfinite(y)
    if not usable.all() or broken.any():
        y, t = (np.where(usable & ~broken, a, 0.0) for a in (y, t))
    bad = int(broken.reshape(entries, samples).any(axis=0).sum())
    pooled = whole.shape[1] // samples
    return _Sums(
        samples,
        t.sum(axis=1) / pooled,
        (t * t).sum(axis=1) / pooled,
        y.sum(axis=1) / pooled,
        (y * y).sum(axis=1) / pooled,
        float(((y - t) ** 2).sum()) / pooled,
        bad,
    )


def _variance(samples: int, sums: Array, squares: Array) -> float:
    """Squared deviations from the mean of each entry over the samples, summed."""
    return max(float((squares - sums**2 / samples).sum()), 0.0)
