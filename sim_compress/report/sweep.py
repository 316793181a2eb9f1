"""The numbers of a sweep: one network at many sparsities, measured on one set of data."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim_compress.report.figures import (
    DataFigures,
    FindingFigures,
    NetworkFigures,
    RowFigures,
    Score,
    Setting,
    headline,
)


@dataclass(frozen=True)
class SweepLevel:
    """One sparsity.

    Attributes:
        target_sparsity: what was asked of the blocks without a target of their own.
        sparsity: of the rows that were compressed.
        total_sparsity: of all parameters.
        nonzeros: nnz(M).
        bytes: of its artifact, written or not.
        scores: of every output.
        rows: how the convex row problems ended.
        output_errors, findings: as of `Report`.
    """

    target_sparsity: float
    sparsity: float
    total_sparsity: float
    nonzeros: int
    bytes: int
    scores: tuple[Score, ...]
    rows: RowFigures
    output_errors: Mapping[str, float | None]
    findings: tuple[FindingFigures, ...]

    @property
    def headline(self) -> Score:
        """The output a short table shows: the first with class scores, else the first."""
        return headline(self.scores)


@dataclass(frozen=True)
class SweepReport:
    """Everything there is to say about one sweep.

    Attributes:
        levels: by ascending sparsity.
        missing_levels: target sparsities that were asked for and are not done, ascending; none where the
            sweep came to its end.
        evaluation: the data that all levels were measured on.
        labelled, on_calibration: as of `Evaluation`.
        settings: of every level but for its target sparsity.
        seconds: stage -> wall time; a level's is called by its percentage.
        total_seconds: from the start of the program to the files on disk.
        peak_memory: bytes; None where the system does not tell.
        notices: sentences the user should know when reading the numbers.
    """

    package_version: str
    network: NetworkFigures
    levels: tuple[SweepLevel, ...]
    missing_levels: tuple[float, ...]
    calibration: DataFigures
    evaluation: DataFigures
    labelled: bool
    on_calibration: bool
    settings: Mapping[str, Setting]
    seconds: Mapping[str, float]
    total_seconds: float
    peak_memory: int | None
    notices: tuple[str, ...]
