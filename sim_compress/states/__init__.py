"""Teacher and regenerated states on calibration data, as a stream of (design, target) into Grams."""

from sim_compress.states.designs import RowGroup, row_groups, teacher_rows
from sim_compress.states.store import Store
from sim_compress.states.streams import Visit, baseline_grams, regenerate
from sim_compress.states.teachers import (
    ImplicitTeacher,
    NetworkTeacher,
    Teacher,
    dense_product,
    open_module,
    open_teacher,
    settle,
)

__all__ = [
    "ImplicitTeacher",
    "NetworkTeacher",
    "RowGroup",
    "Store",
    "Teacher",
    "Visit",
    "baseline_grams",
    "dense_product",
    "open_module",
    "open_teacher",
    "regenerate",
    "row_groups",
    "settle",
    "teacher_rows",
]
