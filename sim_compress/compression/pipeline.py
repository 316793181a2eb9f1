"""The pipeline: teacher and calibration inputs in, sparse implicit model out."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim_compress.artifact import JSON, write
from sim_compress.certificate import Certificate, Scaling, certify, row_scaling
from sim_compress.compression.checks import check_calibration, check_exact, weights_to_keep
from sim_compress.compression.full_support import widened, without_empty_terms
from sim_compress.compression.rows import HEADROOM, row_problems, with_rows
from sim_compress.compression.settings import Settings
from sim_compress.core import Block, allocate, polish, refit, trace
from sim_compress.core.engines import one_blas_thread
from sim_compress.core.gram import Matrix
from sim_compress.model import Affine, ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime import digest
from sim_compress.states import (
    Store,
    Teacher,
    Visit,
    baseline_grams,
    open_teacher,
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
        provenance: teacher and calibration hashes, settings, achieved sparsity; JSON values only.
    """

    model: ImplicitModel
    certificate: Certificate
    provenance: Mapping[str, JSON]

    def save(self, path: str | Path) -> int:
        """Write the artifact and return its size in bytes; on failure an existing file stays whole."""
        return write(path, self.model, self.certificate, self.provenance)


def compress(
    network: Teacher | str | Path,
    inputs: ArrayLike | Mapping[str, ArrayLike],
    settings: Settings,
    progress: Progress = lambda _stage, _part: None,
) -> Compressed:
    """Sparse rows of M whose states and outputs match the network's.

    Args:
        network: an ONNX file, an artifact (its model is compressed further), or an opened teacher.
        inputs: unlabelled calibration inputs, name -> (samples, ...), or the array where there is one input.
        settings: sparsity, objective, kappa.
        progress: called with a stage of STAGES and its finished part.

    Raises:
        InputError: the file, the inputs or the settings cannot be used.
    """
    teacher = open_teacher(network) if isinstance(network, str | Path) else network
    calibration = check_calibration(teacher, inputs)
    check_exact(teacher, calibration)
    full = settings.support == "full"
    affines = widened(teacher.model) if full else dict(teacher.model.affines())
    solve_rows = _from_baseline if full else _in_order
    # Batches and rows have threads of their own; the result then is the same on any number of cores.
    with one_blas_thread():
        plan = _plan(teacher, affines, calibration, settings, progress)
        model = solve_rows(teacher, calibration, plan, lambda part: progress("rows", part))
    provenance = _provenance(teacher, model, calibration, settings, plan.alpha)
    return Compressed(model, certify(model, plan.scaling), provenance)


@dataclass(frozen=True)
class _Plan:
    """What the baseline states decide: one alpha, and for each row group a support and a count."""

    settings: Settings
    alpha: float
    groups: Mapping[tuple[str, int], tuple[NDArray[np.bool_], int]]
    scaling: Scaling
    visits: tuple[Visit, ...]


def _plan(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    settings: Settings,
    progress: Progress,
) -> _Plan:
    count = weights_to_keep(teacher.model, settings.target_sparsity)
    scaling = row_scaling(teacher.model, settings.kappa, HEADROOM)
    grams = baseline_grams(teacher, affines, inputs, lambda part: progress("states", part))
    visits = tuple(Visit(name, affine, grams[name]) for name, affine in affines.items())
    blocks: dict[tuple[str, int], Block] = {}
    for visit in visits:
        for number, (group, gram) in enumerate(zip(row_groups(visit.affine), visit.grams, strict=True)):
            blocks[visit.name, number] = row_problems(
                visit.name, visit.affine, group, gram, settings, scaling
            )
    paths = trace(tuple(blocks.values()), count, progress=lambda part: progress("allocation", part))
    allocation = allocate(paths, count)
    decided = zip(allocation.supports, allocation.counts, strict=True)
    return _Plan(settings, allocation.alpha, dict(zip(blocks, decided, strict=True)), scaling, visits)


def _in_order(
    teacher: Teacher, inputs: Mapping[str, Array], plan: _Plan, progress: Callable[[float], None]
) -> ImplicitModel:
    """Blocks in order on regenerated states: later rows repair earlier errors."""
    with Store() as store:
        return regenerate(teacher, inputs, lambda visit: _regress(visit, plan), store, progress)


def _from_baseline(
    teacher: Teacher, _inputs: Mapping[str, Array], plan: _Plan, progress: Callable[[float], None]
) -> ImplicitModel:
    """Every row on the teacher's own states (Algorithm 1 as printed): in a loop no block comes first."""
    rows: dict[str, Affine] = {}
    for number, visit in enumerate(plan.visits):
        rows[visit.name] = _regress(visit, plan)
        progress((number + 1) / len(plan.visits))
    rows = without_empty_terms(rows)
    model = teacher.model
    return ImplicitModel(
        model.inputs,
        tuple(replace(b, affine=rows[b.name]) for b in model.blocks),
        tuple(replace(o, affine=rows[o.name]) for o in model.outputs),
    )


def _regress(visit: Visit, plan: _Plan) -> Affine:
    """New rows of one block on its turn: polish the planned support on its states, then refit."""
    parts: list[tuple[Matrix, Matrix]] = []
    for number, (group, gram) in enumerate(zip(row_groups(visit.affine), visit.grams, strict=True)):
        planned, count = plan.groups[visit.name, number]
        block = row_problems(visit.name, visit.affine, group, gram, plan.settings, plan.scaling)
        start = refit(block.problems, planned)
        support = polish(block.problems, start, count, block.allowed)
        parts.append(block.problems.to_network(refit(block.problems, support, block.ball)))
    return with_rows(visit.affine, parts)


def _provenance(
    teacher: Teacher, model: ImplicitModel, inputs: Mapping[str, Array], settings: Settings, alpha: float
) -> dict[str, JSON]:
    samples = len(next(iter(inputs.values())))
    return {
        "teacher": {
            "file": Path(teacher.path).name,
            "sha256": teacher.sha256,
            "parameters": teacher.model.nnz,
        },
        "calibration": {"sha256": digest(teacher.model.inputs, inputs), "samples": samples},
        "settings": asdict(settings),
        "alpha": alpha,
        "nonzeros": model.nnz,
        "sparsity": 1 - model.nnz / teacher.model.nnz,
    }
