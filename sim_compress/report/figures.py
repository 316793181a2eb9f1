"""The numbers of one compression: what the tables show and what NAME.sim.json holds.

Fractions (sparsity, accuracy, agreement) lie in 0..1, sizes are bytes, times seconds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim_compress.errors import InputError

# A setting as the user gave it.
Setting = bool | int | float | str | tuple[str, ...] | Mapping[str, float] | None


@dataclass(frozen=True)
class NetworkFigures:
    """The teacher's file.

    Attributes:
        file: its name without folders.
        sha256: of the file and its external weights.
        bytes: of both.
        gzip_bytes: of the gzipped file; None where weights lie in other files.
        parameters: nonzero parameters of M, tied rows counted once, biases included.
    """

    file: str
    sha256: str
    bytes: int
    gzip_bytes: int | None
    parameters: int


@dataclass(frozen=True)
class ArtifactFigures:
    """The file that was written.

    Attributes:
        file: its name without folders.
        digest: that stands in it; tells whether a report beside it still belongs to it.
        bytes: all of them.
        nonzeros: nnz(M).
        supports: bytes that say where the nonzeros are.
        supports_bound: bytes of entropy of that, the number of nonzeros of every matrix known.
        values: bytes of nonzeros and biases.
        values_plain: bytes of the same in their float format.
    """

    file: str
    digest: str
    bytes: int
    nonzeros: int
    supports: int
    supports_bound: int
    values: int
    values_plain: int


@dataclass(frozen=True)
class DataFigures:
    """One data set.

    Attributes:
        source: file or folder it was read from, or how it was made.
        sha256: over names, shapes, dtypes and values as they were given.
        samples: how many.
        data_free: the inputs were made up, not read.
    """

    source: str
    sha256: str
    samples: int
    data_free: bool


@dataclass(frozen=True)
class Score:
    """One output of the sparse model on the evaluation data.

    Attributes:
        output: its name.
        relative_error: |y - y_teacher|_F / |y_teacher|_F; None without a teacher, or where that gives
            only zeros.
        agreement: part of the samples whose largest score is the teacher's; None where the output is
            no vector of two or more scores, or without a teacher.
        accuracy_before: the teacher's; None without labels or teacher.
        accuracy_after: the sparse model's; None without labels.
        remarks: sentences that say what these numbers are worth: labels that do not fit, values that are not
            finite.

    Raises:
        InputError: a number is negative, or a part of the samples above 1.
    """

    output: str
    relative_error: float | None
    agreement: float | None
    accuracy_before: float | None
    accuracy_after: float | None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        highest = {
            "relative_error": math.inf,
            "agreement": 1,
            "accuracy_before": 1,
            "accuracy_after": 1,
        }
        for name, high in highest.items():
            value = getattr(self, name)
            if value is not None and not 0 <= value <= high:
                raise InputError(f"output {self.output!r}: expected {name} in 0..{high}, got {value}")

    @property
    def drop(self) -> float | None:
        """What compression costs: accuracy lost where labels tell it, else samples whose class is another."""
        if self.accuracy_before is not None and self.accuracy_after is not None:
            return self.accuracy_before - self.accuracy_after
        return None if self.agreement is None else 1 - self.agreement


@dataclass(frozen=True)
class Evaluation:
    """What the sparse model was measured on, and what came out for each output."""

    data: DataFigures
    labelled: bool
    on_calibration: bool
    scores: tuple[Score, ...]

    @property
    def headline(self) -> Score:
        """The output a short table shows: the first with class scores, else the first."""
        return headline(self.scores)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Of all scores."""
        return tuple(dict.fromkeys(text for score in self.scores for text in score.remarks))


def headline(scores: Sequence[Score]) -> Score:
    """The first with class scores, else the first."""
    scored = (s for s in scores if s.agreement is not None or s.accuracy_after is not None)
    return next(scored, scores[0])


@dataclass(frozen=True)
class CertificateFigures:
    """Kind of the proof of a unique equilibrium, and its bound on the Perron root of |A|."""

    kind: str
    bound: float


@dataclass(frozen=True)
class RowFigures:
    """The convex row problems.

    Attributes:
        outcomes: how they ended -> how many; `optimal` and `fallback` (by the conic solver) are solved.
        gap: largest relative duality gap of the solved ones.
    """

    outcomes: Mapping[str, int]
    gap: float


@dataclass(frozen=True)
class TuningFigures:
    """What moving all values together brought.

    Attributes:
        epochs: passes over the calibration data; 0 where the values were left alone.
        before, after: error of states and outputs on the calibration data; None where it was not measured.
    """

    epochs: int
    before: float | None
    after: float | None


@dataclass(frozen=True)
class FindingFigures:
    """Something a user must know before the model is used.

    Attributes:
        kind: `sparsity`, `not finite`, `no equilibrium`, `constant output` or `output error`.
        text: a sentence.
        block: the block or output where it begins; None where it is in no one.
    """

    kind: str
    text: str
    block: str | None


@dataclass(frozen=True)
class BlockFigures:
    """One block or output.

    Attributes:
        name: of the block or output.
        phi: its nonlinearity; `output` for rows of the prediction equation.
        shape: of its state.
        rows: tied rows that are regressed; none where they are an earlier block's.
        features: entries of M that one row may use, its bias not counted.
        parameters: nonzeros before compression, biases included.
        nonzeros: nonzeros after it.
        rows_of: the earlier block whose rows it has, and where they are counted; None where they are its own.
    """

    name: str
    phi: str
    shape: tuple[int, ...]
    rows: int
    features: int
    parameters: int
    nonzeros: int
    rows_of: str | None = None

    @property
    def sparsity(self) -> float | None:
        """1 - nonzeros / parameters; None for a block without parameters."""
        return 1 - self.nonzeros / self.parameters if self.parameters else None


@dataclass(frozen=True)
class Report:
    """Everything there is to say about one compression.

    Attributes:
        package_version: of sim-compress.
        sparsity: of the rows that were compressed, which is what was asked for.
        total_sparsity: of all parameters, those left alone included.
        output_errors: output -> mean squared error on the calibration data, relative to the variance of the
            network's output over them; None where there is no such number.
        findings: what is wrong with the model on the calibration data.
        settings: what was asked: sparsity, objective, kappa, seed.
        seconds: stage -> wall time.
        total_seconds: from the start of the program to the artifact on disk.
        peak_memory: bytes; None where the system does not tell.
        notices: sentences the user should know when reading the numbers.
    """

    package_version: str
    network: NetworkFigures
    artifact: ArtifactFigures
    target_sparsity: float
    sparsity: float
    total_sparsity: float
    output_errors: Mapping[str, float | None]
    findings: tuple[FindingFigures, ...]
    calibration: DataFigures
    evaluation: Evaluation
    certificate: CertificateFigures
    rows: RowFigures
    tuning: TuningFigures
    settings: Mapping[str, Setting]
    seconds: Mapping[str, float]
    total_seconds: float
    peak_memory: int | None
    blocks: tuple[BlockFigures, ...]
    notices: tuple[str, ...]
