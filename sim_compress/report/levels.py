"""The levels of a sweep as a table of texts, for a terminal and for a page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sim_compress.report.figures import NetworkFigures
from sim_compress.report.sweep import SweepLevel, SweepReport

Cell = Callable[[NetworkFigures, SweepLevel], str | None]


@dataclass(frozen=True)
class LevelTable:
    """Headings, and a row of cells for each level."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def level_table(report: SweepReport) -> LevelTable:
    """All levels; columns that no level fills are left out."""
    cells = {
        heading: [cell(report.network, level) for level in report.levels] for heading, cell in CELLS.items()
    }
    filled = {heading: column for heading, column in cells.items() if any(c is not None for c in column)}
    rows = zip(*([cell or "" for cell in column] for column in filled.values()), strict=True)
    return LevelTable(tuple(filled), tuple(rows))


def drop_words(labelled: bool) -> str:
    """What a drop is, in words."""
    if labelled:
        return "accuracy points lost against the network"
    return "percent of the samples whose largest score is no longer the network's"


def _percent(part: float | None) -> str | None:
    return None if part is None else f"{100 * part:.2f} %"


def _points(part: float | None) -> str | None:
    return None if part is None else f"{100 * part:.2f}"


def _ratio(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


CELLS: Mapping[str, Cell] = {
    "sparsity": lambda _, level: _percent(level.sparsity),
    "nonzeros": lambda _, level: f"{level.nonzeros:,}",
    "bytes": lambda _, level: f"{level.bytes:,}",
    "/ network": lambda network, level: f"{level.bytes / network.bytes:.3f}",
    "accuracy": lambda _, level: _percent(level.headline.accuracy_after),
    "drop": lambda _, level: _points(level.headline.drop),
    "agreement": lambda _, level: _percent(level.headline.agreement),
    "error": lambda _, level: _ratio(level.headline.relative_error),
}
