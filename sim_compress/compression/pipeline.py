"""The pipeline: teacher and calibration inputs in, sparse implicit model out."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim_compress.artifact import JSON, write
from sim_compress.certificate import Certificate, Scaling, certify
from sim_compress.compilation import companion
from sim_compress.compression.appraisal import Appraisal, Finding, appraised
from sim_compress.compression.calibration import Calibration
from sim_compress.compression.checks import check_engine
from sim_compress.compression.effort import most_epochs, nearest_rounds
from sim_compress.compression.full_support import without_empty_terms
from sim_compress.compression.outcomes import Outcomes
from sim_compress.compression.planning import Plan, plan
from sim_compress.compression.prepared import KERNELS, Prepared, prepared, surveyed
from sim_compress.compression.reached import missed, sparsity_of
from sim_compress.compression.rows import with_rows
from sim_compress.compression.settings import Settings
from sim_compress.compression.surveys import Progress, Survey, row_blocks
from sim_compress.compression.tasks import Planned, Regressed, regressed, regressed_by
from sim_compress.compression.tuning import EPOCHS_PER_ERROR, Tuning, tuned
from sim_compress.compression.unspent import AGAIN, Unspent, spent, unused
from sim_compress.core import Convex
from sim_compress.core.engines import Engine, one_blas_thread
from sim_compress.errors import ConvergenceError, SolverError
from sim_compress.model import (
    Affine,
    ImplicitModel,
    channel_axes,
    every_use,
    narrowed,
    replaced,
    rounded,
    rounded_rows,
    without_vanishing,
)
from sim_compress.model.maps import Array, Shape
from sim_compress.runtime import Session, digest
from sim_compress.runtime.compiled.hardware import processor
from sim_compress.states import Store, Teacher, Visit, by_column, own_means, regenerate

if TYPE_CHECKING:
    from sim_compress.runtime.autograd.module import ImplicitModule

# Said to those who do not look at `Compressed.findings`.
LOGGER = logging.getLogger("sim_compress.compression")
STAGES = ("states", "allocation", "rows")
# Parts of the rows' stage after which they are solved, where they are tuned then, and after which they are
# tuned: then the model is appraised.
SOLVED, TUNED = 0.5, 0.95


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


@companion(*KERNELS)
def compress(
    network: object,
    inputs: Calibration,
    settings: Settings,
    progress: Progress = lambda _stage, _part: None,
    engine: Engine | None = None,
    convex: Convex | None = None,
    input_shapes: Mapping[str, Shape] | None = None,
) -> Compressed:
    """Sparse rows of M whose states and outputs match the network's.

    Args:
        network: an ONNX file or artifact (its model is compressed further), as a path, as bytes or opened
            with "rb"; an onnx.ModelProto, or what torch.onnx.export returned; a torch module, also a
            compiled, scripted or traced one, or an ExportedProgram; or an opened teacher. All are left as
            they were. A module is read in evaluation mode, whatever mode it is in. Its inputs are those
            parameters of forward for which there are calibration inputs.
        inputs: unlabelled calibration inputs (samples, ...), as one of

            - an array or tensor, or numbers in lists: the only input;
            - a dict of these by input name: keys that the network takes are its inputs, masks among them,
              others are left out, and so are labels, which forward may take for its loss;
            - a list or tuple of batches, each with its samples on the first axis as the network takes them
              (or, of arrays shaped as one sample of an ONNX file, its samples). A batch is an array, a dict
              or a tuple. Arrays that cannot be batches of one input, as there are several, the others have
              fewer axes, or a mask follows ids, are the entries of one batch;
            - a loader, generator or torch Dataset of such batches (a Dataset of samples), of which the first
              4096 samples are taken.

            Entries of a tuple are what the network must be given, in its order, or forward's first parameter
            where it needs none; then masks and further ids that forward may be given, as long as they are
            truth values (or ids) for every position of the first entry; the rest are labels and left out.
            What was left out is in `notes`.
        settings: sparsity, objective, kappa, support, states.
        progress: called with a stage of STAGES and its finished part.
        engine: runs the row groups of baseline states; this process alone if not given. The result is the
            same to the byte. Refused where it would have nothing to do.
        convex: f and C of every row in place of the objective, in cvxpy; needs a conic solver. Its rows are
            those of baseline states.
        input_shapes: input name -> sizes of all axes, for an ONNX file that leaves them open; the batch, the
            first of them, stays free.

    Raises:
        InputError: the file, the inputs or the settings cannot be used.
        SolverError: the solver has no licence, or no rows match exactly at this sparsity.
        MissingExtraError: the solver's package is not installed.
    """
    if engine is not None:
        check_engine(settings, convex)
    ready = prepared(network, inputs, settings, convex, input_shapes)
    return completed(ready, surveyed(ready, settings, progress), settings, progress, engine)


def completed(
    ready: Prepared, known: Survey, settings: Settings, progress: Progress, engine: Engine | None
) -> Compressed:
    """The compression to the settings' targets over their survey; errors as for `compress`."""
    teacher, convex = ready.teacher, ready.convex
    with one_blas_thread():
        decided = plan(teacher, known, settings, ready.chosen, convex, progress)
        epochs = most_epochs(ready, settings)
        solved = SOLVED if epochs else TUNED

        def rows_done(part: float) -> None:
            progress("rows", solved * part)

        if settings.matching == "exact" or convex is not None:
            model = _from_baseline(teacher.model, decided, None, rows_done)
        elif settings.support == "full" or settings.states == "baseline":
            model = _from_baseline(teacher.model, decided, engine, rows_done)
        else:
            rounds = nearest_rounds(ready, settings, epochs)
            # Later rows repair what rounding does to earlier ones; tuning would undo it.
            values = "float32" if epochs else settings.values
            model = _in_order(teacher, ready.designs, decided, rounds, values, rows_done)
        tuning = Tuning()
        if epochs:
            model, tuning = _tuned(
                ready, model, decided, epochs, lambda part: progress("rows", solved + (TUNED - solved) * part)
            )
    model, scaling = _without(model, decided)
    _check_finite(model)
    # Rows that were left alone or tuned are stored in the same format.
    model = _in_format(model, settings.values, ready.designs)
    sparsity = sparsity_of(teacher.model, model, tuple(decided.groups))
    appraisal = _appraised(ready, model, decided)
    findings = (*missed(teacher.model, model, decided), *appraisal.findings)
    total = 1 - model.parameters / teacher.model.parameters
    provenance = {
        **_provenance(ready, model, decided),
        "sparsity": sparsity,
        "total_sparsity": total,
    }
    if tuning.epochs:
        provenance["tuning"] = asdict(tuning)
    if decided.channels:
        provenance["channels"] = {n: [int(s.sum()), len(s)] for n, s in decided.channels.items()}
    notes = (*ready.notes, *known.notes, *decided.notes)
    if notes:
        provenance["notes"] = list(notes)
    if findings:
        provenance["findings"] = [f.text for f in findings]
    for finding in findings:
        LOGGER.warning(finding.text)
    progress("rows", 1.0)
    return Compressed(
        model,
        certify(model, scaling),
        decided.outcomes,
        tuning,
        settings,
        notes,
        appraisal.errors,
        findings,
        provenance,
        sparsity,
        total,
    )


def _in_format(model: ImplicitModel, values: str, inputs: Mapping[str, Array]) -> ImplicitModel:
    """The model in the format that is stored; biases keep the means of what its rows give."""
    if values == "float32":
        return model
    try:
        means = own_means(model, inputs)
    # That there is no equilibrium is said with the rest of the appraisal.
    except ConvergenceError:
        means = {}
    return rounded(model, values, means)


def _check_finite(model: ImplicitModel) -> None:
    """Raise SolverError where a row is not finite: no artifact could hold it."""
    for name, affine in model.affines():
        values = [w.data for w in affine.weights] + ([] if affine.bias is None else [affine.bias])
        if not all(np.isfinite(v).all() for v in values):
            raise SolverError(
                f"block {name!r}: its rows are not finite, as states or weights are too large or too small "
                "for float32: scale the inputs, or leave the block out (ignore)"
            )


def _appraised(ready: Prepared, model: ImplicitModel, plan: Plan) -> Appraisal:
    """The model on the calibration inputs, beside the network."""
    own = dict(ready.teacher.model.affines())
    sizes = {part: sum(own[n].nnz for n in part.names) for part in plan.scope}
    asked = sum(part.target * size for part, size in sizes.items()) / sum(sizes.values())
    return appraised(ready.teacher, model, ready.calibration, plan.channels, asked)


def _without(model: ImplicitModel, plan: Plan) -> tuple[ImplicitModel, Scaling]:
    """The model and the scaling of its states without the channels that leave."""
    scaling = plan.survey.limits.scaling
    if not plan.channels:
        return model, scaling
    axes = channel_axes(model)
    cut = {
        n: np.compress(plan.channels[n], s, axis=axes[n]) if s.ndim and n in axes else s
        for n, s in scaling.items()
    }
    return narrowed(model, plan.channels), cut


def _in_order(
    teacher: Teacher,
    inputs: Mapping[str, Array],
    plan: Plan,
    rounds: int,
    values: str,
    progress: Callable[[float], None],
) -> ImplicitModel:
    """Blocks in order on regenerated states: later rows repair earlier errors, of rounding values too."""
    unspent = Unspent(plan)

    def solved(visit: Visit, groups: Sequence[Planned]) -> Affine:
        found = _nearest(visit, groups, [regressed(g) for g in groups], plan, rounds)
        means = by_column(visit.affine, [gram.feature_mean for gram in visit.grams])
        if values == plan.settings.values:
            return rounded_rows(visit.name, found, values, means)
        return without_vanishing(found, plan.settings.values, means)

    def rows(visit: Visit) -> Affine:
        fresh = row_blocks(visit, plan.settings, plan.survey.limits)
        groups = [replace(g, block=b) for g, b in zip(plan.groups[visit.name], fresh, strict=True)]
        groups = unspent.offered(visit.name, groups)
        found = solved(visit, groups)
        tried = groups
        # Of the entries that take the place of those that vanished some may vanish too.
        for _ in range(AGAIN):
            if not (tried := unspent.more(groups, tried, found)):
                break
            again = solved(visit, tried)
            if unused(groups, again) < 0:
                break
            found = again
        unspent.take(visit.name, groups, found)
        return found

    with Store() as store:
        known = plan.survey
        return regenerate(teacher, inputs, rows, store, progress, plan.groups, known.behind, known.ahead)


def _nearest(
    visit: Visit, groups: Sequence[Planned], solved: list[Regressed], plan: Plan, rounds: int
) -> Affine:
    """The block refitted, on the same supports, to targets that move where its phi is flat.

    Where the teacher's state is off, any z that keeps it off will do: the target becomes the nearest such z
    to what the rows give. H stays, so a round is one pass for g and a refit.
    """
    rows = _assembled(visit.affine, groups, solved)
    if visit.nearest is None:
        return rows
    for _ in range(rounds):
        moved = row_blocks(replace(visit, grams=visit.nearest(rows)), plan.settings, plan.survey.limits)
        groups = [replace(g, block=b) for g, b in zip(groups, moved, strict=True)]
        solved = [rows.refitted(g.block) for g, rows in zip(groups, solved, strict=True)]
        rows = _assembled(visit.affine, groups, solved)
    return rows


def _from_baseline(
    model: ImplicitModel, plan: Plan, engine: Engine | None, progress: Callable[[float], None]
) -> ImplicitModel:
    """Every row group on the teacher's own states, side by side (Algorithm 1 as printed)."""
    groups = [g for own in plan.groups.values() for g in own]
    found = regressed_by(engine, groups, progress) if engine else _one_by_one(groups, progress)
    solved = iter(spent(plan, groups, found))
    rows = {
        name: _assembled(affine, plan.groups[name], [next(solved) for _ in plan.groups[name]])
        for name, affine in plan.survey.affines.items()
    }
    return replaced(model, without_empty_terms(every_use(model, rows)))


def _one_by_one(groups: Sequence[Planned], progress: Callable[[float], None]) -> list[Regressed]:
    """The row groups in this process; threads share the rows of each."""
    found: list[Regressed] = []
    for group in groups:
        found.append(regressed(group))
        progress(len(found) / len(groups))
    return found


def _tuned(
    ready: Prepared, model: ImplicitModel, plan: Plan, epochs: int, progress: Callable[[float], None]
) -> tuple[ImplicitModel, Tuning]:
    """The model with all values tuned together, and how much that brought."""
    per_error = EPOCHS_PER_ERROR if plan.settings.tune is None else math.inf
    problems = {n: [b.problems for b in plan.survey.blocks[n]] for n in plan.groups}
    return tuned(ready.teacher.model, model, ready.designs, problems, epochs, progress, per_error)


def _assembled(affine: Affine, groups: Sequence[Planned], solved: Sequence[Regressed]) -> Affine:
    """The block with the solved rows in the network's units."""
    return with_rows(
        affine, [g.block.problems.to_network(*found) for g, found in zip(groups, solved, strict=True)]
    )


def _provenance(ready: Prepared, model: ImplicitModel, plan: Plan) -> dict[str, JSON]:
    teacher, inputs = ready.teacher, ready.calibration
    return {
        "teacher": {
            "file": Path(teacher.path).name,
            "sha256": teacher.sha256,
            "parameters": teacher.model.parameters,
        },
        "calibration": {
            "sha256": digest(teacher.model.inputs, inputs),
            "samples": len(next(iter(inputs.values()))),
            "mirrored": ready.designs is not inputs,
        },
        # On another kind of processor values differ by rounding.
        "processor": processor(),
        "settings": asdict(plan.settings),
        "alpha": [plan.alphas[0], plan.alphas[-1]] if plan.alphas else [],
        "rows": {**plan.outcomes.named, "gap": plan.outcomes.gap},
        "nonzeros": model.nnz,
        **({"source": dict(teacher.source)} if teacher.source else {}),
    }
