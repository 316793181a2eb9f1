"""Calibration and evaluation data: read from files and folders, or made up."""

from sim_compress.cli.data.choice import Data, calibration_data, check_scaling, read_data, read_labels
from sim_compress.cli.data.naming import naming
from sim_compress.cli.data.pixels import BYTE, Scaling, layout, scaling_asked

__all__ = [
    "BYTE",
    "Data",
    "Scaling",
    "calibration_data",
    "check_scaling",
    "layout",
    "naming",
    "read_data",
    "read_labels",
    "scaling_asked",
]
