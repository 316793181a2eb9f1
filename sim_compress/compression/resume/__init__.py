"""The run folder: results of finished steps on disk, from which a run that ended early goes on."""

from sim_compress.compression.resume.folder import NOWHERE, Keeper, RunFolder
from sim_compress.compression.resume.kept import Kept
from sim_compress.compression.resume.pieces import NO_PIECES, Pieces

__all__ = ["NOWHERE", "NO_PIECES", "Keeper", "Kept", "Pieces", "RunFolder"]
