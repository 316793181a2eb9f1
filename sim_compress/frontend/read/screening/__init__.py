"""What a file asks for, computed before anything of it is allocated or run."""

from sim_compress.frontend.read.screening.functions import check_functions
from sim_compress.frontend.read.screening.screen import screen
from sim_compress.frontend.read.screening.stored import check_stored, tensors

__all__ = ["check_functions", "check_stored", "screen", "tensors"]
