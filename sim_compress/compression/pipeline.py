"""The pipeline: teacher and calibration inputs in, sparse implicit model out."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from sim_compress.artifact import JSON, write
from sim_compress.certificate import Certificate, certify
from sim_compress.compression.calibration import Calibration, opened
from sim_compress.compression.checks import check_calibration, check_exact, weights_to_keep
from sim_compress.compression.convex import constrained
from sim_compress.compression.exact import matched
from sim_compress.compression.full_support import widened, without_empty_terms
from sim_compress.compression.outcomes import Outcomes, outcomes
from sim_compress.compression.rows import Limits, row_limits, row_problems, with_rows
from sim_compress.compression.scope import parts
from sim_compress.compression.settings import Settings
from sim_compress.compression.tasks import Planned, regressed, regressed_by
from sim_compress.core import Block, Convex, Solution, allocate, trace
from sim_compress.core.engines import Engine, one_blas_thread
from sim_compress.core.gram import Matrix
from sim_compress.core.solvers import NATIVE, Solver, solver
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, rounded, rounded_rows
from sim_compress.model.maps import Array, Shape
from sim_compress.runtime import digest
from sim_compress.states import (
    Store,
    Teacher,
    Visit,
    baseline_grams,
    regenerate,
    row_groups,
)

# progress(stage, finished part in [0, 1])
Progress = Callable[[str, float], None]
STAGES = ("states", "allocation", "rows")


@dataclass(frozen=True)
class Compressed:
    """A sparse model with its proof and where it came from.

    Attributes:
        model: sparse A, B, C, D.
        certificate: proof that the equilibrium exists and is unique.
        outcomes: how the convex row problems ended.
        provenance: teacher and calibration hashes, settings, outcomes, achieved sparsity; JSON values only.
        sparsity: 1 - nnz / nnz of the teacher's over the rows that were compressed.
        total_sparsity: the same over all parameters, those left alone and the tables that ids are looked
            up in included.
    """

    model: ImplicitModel
    certificate: Certificate
    outcomes: Outcomes
    provenance: Mapping[str, JSON]
    sparsity: float
    total_sparsity: float

    def save(self, path: str | Path) -> int:
        """Write the artifact and return its size in bytes; on failure an existing file stays whole."""
        return write(path, self.model, self.certificate, self.provenance)


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
        network: an ONNX file, an artifact (its model is compressed further), a torch module or
            ExportedProgram (left as it was), or an opened teacher.
        inputs: unlabelled calibration inputs (samples, ...), arrays or tensors, by name where there are
            several; or a loader of batches, whose labels are left out.
        settings: sparsity, objective, kappa, support, states.
        progress: called with a stage of STAGES and its finished part.
        engine: runs the row groups of baseline states, unless matched exactly; this process alone if not
            given. The result is the same to the byte.
        convex: f and C of every row in place of the objective, in cvxpy; needs a conic solver. Its rows are
            those of baseline states.
        input_shapes: input name -> sizes of all axes, for an ONNX file that leaves them open; the batch, the
            first of them, stays free.

    Raises:
        InputError: the file, the inputs or the settings cannot be used.
        SolverError: the solver has no licence, or no rows match exactly at this sparsity.
        MissingExtraError: the solver's package is not installed.
    """
    # Refused before any work where it cannot be used here.
    chosen = solver(settings.solver)
    if convex is not None and chosen.name == NATIVE:
        raise InputError("a convex f and C of your own need a conic solver: Settings(..., solver='clarabel')")
    teacher, arrays, notes = opened(network, inputs, input_shapes)
    calibration = check_calibration(teacher, arrays)
    check_exact(teacher, calibration)
    full = settings.support == "full"
    affines = widened(teacher.model) if full else dict(teacher.model.affines())
    # Batches and rows have threads of their own; the result then is the same on any number of cores.
    with one_blas_thread():
        plan = _plan(teacher, affines, calibration, settings, chosen, convex, progress)
        rows_done = partial(progress, "rows")
        if settings.matching == "exact" or convex is not None:
            model = _from_baseline(teacher.model, plan, None, rows_done)
        elif full or settings.states == "baseline":
            model = _from_baseline(teacher.model, plan, engine, rows_done)
        else:
            model = _in_order(teacher, calibration, plan, rows_done)
    # Rows that were left alone are stored in the same format.
    model = rounded(model, settings.values)
    sparsity = _sparsity(teacher.model, model, plan.groups)
    total = 1 - model.parameters / teacher.model.parameters
    provenance = {
        **_provenance(teacher, model, calibration, plan),
        "sparsity": sparsity,
        "total_sparsity": total,
    }
    if notes:
        provenance["notes"] = list(notes)
    return Compressed(model, certify(model, plan.limits.scaling), plan.outcomes, provenance, sparsity, total)


def _sparsity(teacher: ImplicitModel, model: ImplicitModel, names: Container[str]) -> float:
    """1 - nnz / nnz of the teacher's over the named blocks."""
    before, after = (sum(a.nnz for n, a in m.affines() if n in names) for m in (teacher, model))
    return 1 - after / before


@dataclass(frozen=True)
class _Plan:
    """What the baseline states decide: alphas, and for each block its row groups' supports and counts.

    Blocks that keep the teacher's rows have no entry in `affines` and `groups`.
    """

    settings: Settings
    alphas: Mapping[str, float]
    affines: Mapping[str, Affine]
    groups: Mapping[str, tuple[Planned, ...]]
    limits: Limits
    outcomes: Outcomes


def _plan(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    settings: Settings,
    chosen: Solver,
    convex: Convex | None,
    progress: Progress,
) -> _Plan:
    scope = parts(teacher.model, teacher.nodes, settings)
    own = dict(teacher.model.affines())
    counts = [weights_to_keep([own[n] for n in part.names], part.target) for part in scope]
    affines = {n: a for n, a in affines.items() if any(n in part.names for part in scope)}
    limits = row_limits(teacher.model, settings.kappa)
    grams = baseline_grams(teacher, affines, inputs, partial(progress, "states"))
    blocks = {
        name: _blocks(Visit(name, affine, grams[name]), settings, limits) for name, affine in affines.items()
    }
    alphas: dict[str, float] = {}
    groups: dict[str, tuple[Planned, ...]] = {}
    solutions: list[Solution] = []
    for number, (part, count) in enumerate(zip(scope, counts, strict=True)):
        share = partial(_share, progress, number, len(scope))
        own_blocks = {n: blocks[n] for n in part.names}
        if settings.matching == "exact":
            planned, found = matched(own_blocks, count, chosen, convex, share)
        else:
            alphas[part.pattern], planned, found = _allocated(own_blocks, count, chosen, share)
            if convex is not None:
                planned, found = constrained(planned, alphas[part.pattern], convex, chosen)
        groups |= planned
        solutions += found
    return _Plan(settings, alphas, affines, groups, limits, outcomes(solutions))


def _share(progress: Progress, number: int, total: int, part: float) -> None:
    progress("allocation", (number + part) / total)


def _allocated(
    blocks: Mapping[str, tuple[Block, ...]], count: int, chosen: Solver, progress: Callable[[float], None]
) -> tuple[float, dict[str, tuple[Planned, ...]], list[Solution]]:
    """The one alpha at which the blocks keep `count` weights together, each one's share, the convex rows."""
    every = [b for own in blocks.values() for b in own]
    paths = trace(every, count, progress=progress)
    allocation = allocate(paths, count)
    solutions = [
        chosen.solve(b.problems, b.penalty, allocation.alpha, ball=b.ball, start=p.rows)
        for b, p in zip(every, paths, strict=True)
    ]
    decided = zip((s.support for s in solutions), allocation.counts, strict=True)
    groups = {name: tuple(Planned(b, *next(decided)) for b in own) for name, own in blocks.items()}
    return allocation.alpha, groups, solutions


def _blocks(visit: Visit, settings: Settings, limits: Limits) -> tuple[Block, ...]:
    """The row problems of every row group of one block."""
    return tuple(
        row_problems(visit.name, visit.affine, group, gram, settings, limits)
        for group, gram in zip(row_groups(visit.affine), visit.grams, strict=True)
    )


def _in_order(
    teacher: Teacher, inputs: Mapping[str, Array], plan: _Plan, progress: Callable[[float], None]
) -> ImplicitModel:
    """Blocks in order on regenerated states: later rows repair earlier errors."""

    def rows(visit: Visit) -> Affine:
        fresh = _blocks(visit, plan.settings, plan.limits)
        groups = [
            replace(planned, block=b) for planned, b in zip(plan.groups[visit.name], fresh, strict=True)
        ]
        solved = _assembled(visit.affine, groups, [regressed(g) for g in groups])
        # Rounded here, so that later rows repair this too.
        return rounded_rows(visit.name, solved, plan.settings.values)

    with Store() as store:
        return regenerate(teacher, inputs, rows, store, progress, plan.groups)


def _from_baseline(
    model: ImplicitModel, plan: _Plan, engine: Engine | None, progress: Callable[[float], None]
) -> ImplicitModel:
    """Every row group on the teacher's own states, side by side (Algorithm 1 as printed)."""
    groups = [g for own in plan.groups.values() for g in own]
    solved = iter(regressed_by(engine, groups, progress) if engine else [regressed(g) for g in groups])
    rows = without_empty_terms(
        {
            name: _assembled(affine, plan.groups[name], [next(solved) for _ in plan.groups[name]])
            for name, affine in plan.affines.items()
        }
    )
    progress(1.0)
    return ImplicitModel(
        model.inputs,
        tuple(replace(b, affine=rows.get(b.name, b.affine)) for b in model.blocks),
        tuple(replace(o, affine=rows.get(o.name, o.affine)) for o in model.outputs),
    )


def _assembled(affine: Affine, groups: Sequence[Planned], solved: Sequence[Matrix]) -> Affine:
    """The block with the solved rows in the network's units."""
    return with_rows(affine, [g.block.problems.to_network(V) for g, V in zip(groups, solved, strict=True)])


def _provenance(
    teacher: Teacher, model: ImplicitModel, inputs: Mapping[str, Array], plan: _Plan
) -> dict[str, JSON]:
    samples = len(next(iter(inputs.values())))
    return {
        "teacher": {
            "file": Path(teacher.path).name,
            "sha256": teacher.sha256,
            "parameters": teacher.model.parameters,
        },
        "calibration": {"sha256": digest(teacher.model.inputs, inputs), "samples": samples},
        "settings": asdict(plan.settings),
        "alpha": next(iter(plan.alphas.values())) if len(plan.alphas) == 1 else plan.alphas,
        "rows": {**plan.outcomes.named, "gap": plan.outcomes.gap},
        "nonzeros": model.nnz,
    }
