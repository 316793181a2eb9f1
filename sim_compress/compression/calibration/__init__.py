"""Networks and calibration inputs as users hold them."""

from sim_compress.compression.calibration.batches import LOADER_SAMPLES, Calibration
from sim_compress.compression.calibration.opened import Opened, opened

__all__ = ["LOADER_SAMPLES", "Calibration", "Opened", "opened"]
