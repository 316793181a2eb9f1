"""Teacher and regenerated states on calibration data, as a stream of (design, target) into Grams."""

from sim_compress.states.designs import RowGroup, by_column, row_groups, teacher_rows
from sim_compress.states.store import Store
from sim_compress.states.streams import Grams, Visit, baseline_grams, merge, own_means, regenerate
from sim_compress.states.teachers import (
    ImplicitTeacher,
    NetworkTeacher,
    Teacher,
    dense_product,
    open_module,
    open_teacher,
    settle,
    with_tables_apart,
)

__all__ = [
    "Grams",
    "ImplicitTeacher",
    "NetworkTeacher",
    "RowGroup",
    "Store",
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
