"""The end of a run: the model in the format that is stored, proven, appraised and with its provenance."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim_compress.artifact import JSON, write
from sim_compress.certificate import Certificate, certify
from sim_compress.compilation.environment import processor
from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.appraisal.outcomes import Outcomes
from sim_compress.compression.appraisal.outputs import Appraisal, Finding, appraised
from sim_compress.compression.appraisal.reached import missed, sparsity_of
from sim_compress.compression.settings import Settings
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.target import Target
from sim_compress.compression.steps.walk import Walk
from sim_compress.compression.tuning.descent import Tuning
from sim_compress.compression.tuning.tuned import Tuned
from sim_compress.core.engines import Engine
from sim_compress.errors import ConvergenceError, SolverError
from sim_compress.model import ImplicitModel, rounded
from sim_compress.model.maps import Array
from sim_compress.runtime import Session
from sim_compress.states import own_means

if TYPE_CHECKING:
    from sim_compress.runtime.autograd.module import ImplicitModule

# Said to those who do not look at `Compressed.findings`.
LOGGER = logging.getLogger("sim_compress.compression")


@dataclass(frozen=True)
class Compressed:
    """A sparse model with its proof and where it came from.

    Attributes:
        model: sparse A, B, C, D.
        certificate: proof that the equilibrium exists and is unique.
        outcomes: how the convex row problems ended.
        tuning: what moving all values together brought.
        settings: what was asked.
        notes: choices made for the user.
        errors: output name -> mean squared error on the calibration inputs relative to the variance of the
            network's output, 1 for the best constant; None where that does not vary, or the model's is not
            finite.
        findings: what must be known before the model is used: a sparsity that is not as asked, outputs that
            are constant, not finite or far from the network's, with the block where that begins.
        provenance: teacher and calibration hashes, settings, outcomes, achieved sparsity; JSON values only.
        sparsity: 1 - nnz / nnz of the teacher's over the rows that were compressed.
        total_sparsity: the same over all parameters, those left alone and the tables that ids are looked
            up in included.
    """

    model: ImplicitModel
    certificate: Certificate
    outcomes: Outcomes
    tuning: Tuning
    settings: Settings
    notes: tuple[str, ...]
    errors: Mapping[str, float | None]
    findings: tuple[Finding, ...]
    provenance: Mapping[str, JSON]
    sparsity: float
    total_sparsity: float

    def save(self, path: str | Path) -> int:
        """Write the artifact and return its size in bytes; on failure an existing file stays whole."""
        return write(path, self.model, self.certificate, self.provenance)

    def to_torch(self) -> "ImplicitModule":
        """The model as a torch.nn.Module that takes what the network took, in order or by name.

        Raises:
            MissingExtraError: torch is not installed.
            UnsupportedError: a phi or map has no torch function.
        """
        return Session(self.model).to_torch()


def finished(target: Target, walk: Walk) -> Compressed:
    """What came of a run.

    Args:
        target: what was asked.
        walk: through its steps.

    Raises:
        SolverError: a row is not finite.
    """
    problems, plan, tuned = (walk[name] for name in ("problems", "plan", "tuned"))
    return _finished(target, problems, plan, tuned)


def _finished(target: Target, problems: Problems, plan: Plan, tuned: Tuned) -> Compressed:
    ready, settings = target.ready, target.settings
    teacher = ready.teacher.model
    model, scaling = plan.narrowed(tuned.model, problems.regression.limits.scaling)
    check_finite(model)
    # Rows that were left alone or tuned are stored in the same format.
    model = _in_format(model, settings.values, ready.designs, target.engine)
    appraisal = _appraised(target, model, plan)
    findings = (*missed(teacher, model, plan, settings, ready.method), *appraisal.findings)
    for finding in findings:
        LOGGER.warning(finding.text)
    sparsity = sparsity_of(teacher, model, tuple(plan.groups))
    total = 1 - model.parameters / teacher.parameters
    notes = (*ready.notes, *problems.notes, *plan.notes)
    provenance = {
        **_provenance(target, model, plan),
        "sparsity": sparsity,
        "total_sparsity": total,
        **({"tuning": asdict(tuned.tuning)} if tuned.tuning.epochs else {}),
        **({"channels": {n: [int(s.sum()), len(s)] for n, s in plan.kept.items()}} if plan.kept else {}),
        **({"notes": list(notes)} if notes else {}),
        **({"findings": [f.text for f in findings]} if findings else {}),
    }
    return Compressed(
        model,
        certify(model, scaling),
        plan.outcomes,
        tuned.tuning,
        settings,
        notes,
        appraisal.errors,
        findings,
        provenance,
        sparsity,
        total,
    )


def _in_format(
    model: ImplicitModel, values: str, inputs: Mapping[str, Array], engine: Engine
) -> ImplicitModel:
    """The model in the format that is stored; biases keep the means of what its rows give."""
    if values == "float32":
        return model
    try:
        means = own_means(model, inputs, engine)
    # That there is no equilibrium is said with the rest of the appraisal.
    except ConvergenceError:
        means = {}
    return rounded(model, values, means)


def check_finite(model: ImplicitModel) -> None:
    """Raise SolverError where a row is not finite: no artifact could hold it."""
    for name, affine in model.affines():
        values = [w.data for w in affine.weights] + ([] if affine.bias is None else [affine.bias])
        if not all(np.isfinite(v).all() for v in values):
            raise SolverError(
                f"block {name!r}: its rows are not finite, as states or weights are too large or too small "
                "for float32: scale the inputs, or leave the block out (ignore)"
            )


def _appraised(target: Target, model: ImplicitModel, plan: Plan) -> Appraisal:
    """The model on the calibration inputs, beside the network."""
    ready = target.ready
    own = dict(ready.teacher.model.affines())
    sizes = {part: sum(own[n].nnz for n in part.names) for part in plan.scope}
    asked = sum(part.target * size for part, size in sizes.items()) / sum(sizes.values())
    return appraised(ready.teacher, model, ready.calibration.arrays, plan.kept, asked, target.engine)


def _provenance(target: Target, model: ImplicitModel, plan: Plan) -> dict[str, JSON]:
    ready, teacher = target.ready, target.ready.teacher
    return {
        "teacher": {
            "file": Path(teacher.path).name,
            "sha256": teacher.sha256,
            "parameters": teacher.model.parameters,
        },
        "calibration": {
            "sha256": ready.calibration.sha256,
            "samples": ready.calibration.samples,
            "mirrored": ready.mirrored,
        },
        # On another kind of processor values differ by rounding.
        "processor": processor(),
        "settings": asdict(target.settings),
        "alpha": [plan.alphas[0], plan.alphas[-1]] if plan.alphas else [],
        "rows": {**plan.outcomes.named, "gap": plan.outcomes.gap},
        "nonzeros": model.nnz,
        **({"source": dict(teacher.source)} if teacher.source else {}),
    }
