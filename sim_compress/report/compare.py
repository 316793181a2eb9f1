"""Several compressions side by side, and what must be said before their numbers are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sim_compress.report.columns import Column, Value

Unit = Literal["text", "count", "bytes", "memory", "fraction", "ratio", "seconds"]


@dataclass(frozen=True)
class Row:
    """One figure of every column.

    Attributes:
        difference: last minus first where there are two numbers that may be compared, else None.
    """

    label: str
    unit: Unit
    values: tuple[Value, ...]
    difference: float | None


@dataclass(frozen=True)
class Comparison:
    """Rows of figures, columns of files, and remarks on what the figures do not say."""

    titles: tuple[str, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]


LABELS: Mapping[str, tuple[str, Unit]] = {
    "network": ("network", "text"),
    "parameters": ("parameters", "count"),
    "nonzeros": ("nonzeros", "count"),
    "target_sparsity": ("sparsity asked", "fraction"),
    "sparsity": ("sparsity achieved", "fraction"),
    "network_bytes": ("network file", "bytes"),
    "gzip_bytes": ("network file, gzipped", "bytes"),
    "artifact_bytes": ("artifact", "bytes"),
    "calibration": ("calibration", "text"),
    "evaluation": ("measured on", "text"),
    "accuracy_before": ("accuracy before", "fraction"),
    "accuracy_after": ("accuracy after", "fraction"),
    "agreement": ("top-1 agreement", "fraction"),
    "relative_error": ("relative output error", "ratio"),
    "objective": ("objective", "text"),
    "kappa": ("kappa", "ratio"),
    "certificate": ("certificate", "text"),
    "total_seconds": ("wall time", "seconds"),
    "peak_memory": ("peak memory", "memory"),
}
MEASURED = {"accuracy_before", "accuracy_after", "agreement", "relative_error"}


def compare(columns: Sequence[Column]) -> Comparison:
    """Figures side by side; rows that no file knows are left out."""
    remarks = _remarks(columns)
    comparable = _same(columns, "evaluation_sha256")
    rows = []
    for key, (label, unit) in LABELS.items():
        values: tuple[Value, ...] = tuple(getattr(c, key) for c in columns)
        if any(v is not None for v in values):
            honest = comparable or key not in MEASURED
            rows.append(Row(label, unit, values, _difference(values) if honest else None))
    return Comparison(tuple(c.title for c in columns), tuple(rows), remarks)


def _difference(values: tuple[Value, ...]) -> float | None:
    if len(values) != 2:
        return None
    first, last = values
    if isinstance(first, int | float) and isinstance(last, int | float):
        return last - first
    return None


def _same(columns: Sequence[Column], key: str) -> bool:
    return len({getattr(c, key) for c in columns}) == 1


def _remarks(columns: Sequence[Column]) -> tuple[str, ...]:
    remarks = []
    known = [c for c in columns if c.network_sha256 is not None]
    if known and not _same(known, "network_sha256"):
        remarks.append("The files come from different networks.")
    measured = [c for c in columns if c.evaluation_sha256 is not None]
    if measured and not _same(measured, "evaluation_sha256"):
        remarks.append(
            "The files were measured on different data: their accuracy, agreement and output error "
            "cannot be compared. Run  sim-compress evaluate  on each with the same data."
        )
    remarks += [f"{c.title}: {c.remark}" for c in columns if c.remark is not None]
    remarks += [
        f"{c.title}: no report of it lies beside it, so only what the artifact holds is shown."
        for c in columns
        if c.evaluation is None and c.remark is None
    ]
    return tuple(remarks)
