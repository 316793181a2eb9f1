"""Teacher and regenerated states on calibration data, as a stream of (design, target) into Grams."""

from sim_compress.states.baseline import Grams, baseline_grams, merge, own_means
from sim_compress.states.designs import RowGroup, by_column, row_groups, teacher_rows
from sim_compress.states.implicit_teacher import ImplicitTeacher, dense_product, settle
from sim_compress.states.live_cuts import Visit
from sim_compress.states.network_teacher import NetworkTeacher
from sim_compress.states.opening import open_module, open_teacher, with_tables_apart
from sim_compress.states.regeneration import regenerate
from sim_compress.states.teachers import Outputs, Step, Teacher

__all__ = [
    "Grams",
    "ImplicitTeacher",
    "NetworkTeacher",
    "Outputs",
    "RowGroup",
    "Step",
    "Teacher",
    "Visit",
    "baseline_grams",
    "by_column",
    "dense_product",
    "merge",
    "open_module",
    "open_teacher",
    "own_means",
    "regenerate",
    "row_groups",
    "settle",
    "teacher_rows",
    "with_tables_apart",
]
