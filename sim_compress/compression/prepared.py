"""What every target of a compression shares: the teacher, its checked inputs, the survey of its blocks."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim_compress.compression.calibration import Calibration, opened
from sim_compress.compression.checks import check_calibration, check_exact, check_tuning
from sim_compress.compression.full_support import widened
from sim_compress.compression.mirroring import MIRRORED, may_mirror, mirrored
from sim_compress.compression.patterns import channel_multiple
from sim_compress.compression.settings import Settings, check_used
from sim_compress.compression.surveys import Progress, Survey, survey
from sim_compress.core import Convex
from sim_compress.core.engines import one_blas_thread
from sim_compress.core.solvers import NATIVE, Solver, solver
from sim_compress.errors import InputError
from sim_compress.model import Affine
from sim_compress.model.maps import Array, Shape
from sim_compress.states import Teacher, with_tables_apart

# Modules of compiled code in the order that a compression needs it; who measures the model runs the last.
KERNELS = (
    "sim_compress.core.solvers.rows",
    "sim_compress.core.refit",
    "sim_compress.runtime.reverse.tied",
    "sim_compress.runtime.compiled.machine",
)


@dataclass(frozen=True)
class Prepared:
    """What any target starts from.

    Attributes:
        teacher: the network.
        calibration: its calibration inputs, checked.
        designs: what the designs are made of: the same, with mirror images where they serve.
        affines: block or output name -> the design its rows may use.
        chosen: solves the convex rows.
        convex: f and C in place of the objective.
        notes: choices made for the user.
    """

    teacher: Teacher
    calibration: Mapping[str, Array]
    designs: Mapping[str, Array]
    affines: Mapping[str, Affine]
    chosen: Solver
    convex: Convex | None
    notes: tuple[str, ...]


def prepared(
    network: object,
    inputs: Calibration,
    settings: Settings,
    convex: Convex | None = None,
    input_shapes: Mapping[str, Shape] | None = None,
) -> Prepared:
    """The teacher and its inputs, opened and checked; arguments and errors as for `compress`."""
    # Refused before any work where it cannot be used here.
    chosen = solver(settings.solver)
    if convex is not None and chosen.name == NATIVE:
        raise InputError("a convex f and C of your own need a conic solver: Settings(..., solver='clarabel')")
    if convex is not None and channel_multiple(settings.pattern):
        raise InputError("rows of whole channels are least squares: they have no convex f and C of your own")
    if convex is not None:
        check_used(settings, convex=True)
    teacher, arrays, notes = opened(network, inputs, input_shapes)
    # Rows that read other sources, or that must match exactly, cannot be those of a table as well.
    if settings.support == "full" or settings.matching == "exact":
        teacher = with_tables_apart(teacher)
    if settings.tune:
        check_tuning(teacher.model, convex)
    calibration = check_calibration(teacher, arrays)
    notes = (*notes, *check_exact(teacher, calibration))
    mirror = may_mirror(teacher.model, calibration, settings)
    designs = mirrored(teacher, calibration) if mirror else calibration
    full = settings.support == "full"
    affines = widened(teacher.model) if full else dict(teacher.model.affines())
    if designs is not calibration:
        notes = (*notes, MIRRORED)
    return Prepared(teacher, calibration, designs, affines, chosen, convex, notes)


def surveyed(ready: Prepared, settings: Settings, progress: Progress, known: Survey | None = None) -> Survey:
    """The survey for the settings' targets, gone on with from one for sparser targets where that is known."""
    # Batches and rows have threads of their own; the result then is the same on any number of cores.
    with one_blas_thread():
        return survey(ready.teacher, ready.affines, ready.designs, settings, ready.convex, progress, known)
