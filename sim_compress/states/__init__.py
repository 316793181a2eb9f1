"""Teacher and regenerated states on calibration data, as a stream of (design, target) into Grams."""

from sim_compress.states.designs import RowGroup, row_groups, teacher_rows
from sim_compress.states.read_out import Reader
from sim_compress.states.store import Store
from sim_compress.states.streams import Visit, baseline_grams, regenerate

__all__ = [
    "Reader",
    "RowGroup",
    "Store",
    "Visit",
    "baseline_grams",
    "regenerate",
    "row_groups",
    "teacher_rows",
]
