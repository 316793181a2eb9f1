"""What every target of a compression shares: the teacher, its checked inputs, the method."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim_compress.compression.calibration import Calibration, opened
from sim_compress.compression.calibration.checks import check_calibration, check_exact, check_tunable
from sim_compress.compression.calibration.mirroring import MIRRORED, may_mirror, mirrored
from sim_compress.compression.method import Method
from sim_compress.compression.settings import Settings
from sim_compress.core import Convex
from sim_compress.core.solvers import Solver, solver
from sim_compress.model import Affine
from sim_compress.model.maps import Array, Shape
from sim_compress.runtime import Checked
from sim_compress.states import Teacher, with_tables_apart

# Modules of compiled code in the order that a compression needs it; who measures the model runs the last.
KERNELS = (
    "sim_compress.core.solvers.rows",
    "sim_compress.core.refit",
    "sim_compress.runtime.reverse.tied",
    "sim_compress.runtime.compiled.code.machine",
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What any target starts from.

    Attributes:
        teacher: the network.
        method: how it is compressed.
        calibration: its calibration inputs.
        designs: what the designs are made of: the same, with mirror images where they serve.
        affines: block or output name -> the design its rows may use.
        chosen: solves the convex rows.
        convex: f and C in place of the objective.
        notes: choices made for the user.
    """

    teacher: Teacher
    method: Method
    calibration: Checked
    designs: Mapping[str, Array]
    affines: Mapping[str, Affine]
    chosen: Solver
    convex: Convex | None
    notes: tuple[str, ...]

    @property
    def mirrored(self) -> bool:
        """Whether mirror images serve."""
        return self.designs is not self.calibration.arrays


def prepared(
    network: object,
    inputs: Calibration | Checked,
    settings: Settings,
    convex: Convex | None = None,
    input_shapes: Mapping[str, Shape] | None = None,
) -> Prepared:
    """The teacher and its inputs, opened and checked; arguments and errors as for `compress`.

    Inputs that are checked already go with an opened teacher.
    """
    # Refused before any work where it cannot be used here.
    chosen, method = solver(settings.solver), settings.method(convex is not None)
    teacher, calibration, notes = _checked(network, inputs, input_shapes)
    if not method.ties_tables:
        teacher = with_tables_apart(teacher)
    if settings.tune:
        check_tunable(teacher.model)
    notes = (*notes, *check_exact(teacher, calibration.arrays))
    affines, designs = settings.design.affines(teacher.model), calibration.arrays
    if may_mirror(teacher.model, designs, settings):
        designs = mirrored(teacher, designs)
    if designs is not calibration.arrays:
        notes = (*notes, MIRRORED)
    return Prepared(teacher, method, calibration, designs, affines, chosen, convex, notes)


def _checked(
    network: object, inputs: Calibration | Checked, input_shapes: Mapping[str, Shape] | None
) -> tuple[Teacher, Checked, tuple[str, ...]]:
    if isinstance(inputs, Checked):
        assert isinstance(network, Teacher), "who checked the inputs has opened the network"
        return network, inputs, network.notes
    teacher, arrays, notes = opened(network, inputs, input_shapes)
    return teacher, check_calibration(teacher, arrays), notes
