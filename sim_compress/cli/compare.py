"""sim-compress compare FILE FILE ...: reports or artifacts side by side."""

import argparse
from collections.abc import Callable, Mapping

from rich.table import Table
from rich.text import Text

from sim_compress.cli import words
from sim_compress.cli.console import OUT
from sim_compress.cli.tables import facts
from sim_compress.report import Comparison, Row, Value, column, compare

WORDS: Mapping[str, Callable[[float], str]] = {
    "count": words.count,
    "bytes": words.size,
    "memory": words.memory,
    "fraction": words.percent,
    "ratio": words.ratio,
    "seconds": words.seconds,
}
UNKNOWN = "-"


def run(arguments: argparse.Namespace) -> int:
    """Show the comparison."""
    comparison = compare([column(path) for path in arguments.files])
    OUT.print(_table(comparison))
    OUT.print(
        facts({row.label: _texts(comparison.titles, row) for row in comparison.rows if row.unit == "text"})
    )
    for remark in comparison.remarks:
        OUT.print(remark)
    return 0


def _table(comparison: Comparison) -> Table:
    """The numbers; texts are too wide to stand in columns."""
    table = Table()
    table.add_column("", no_wrap=True)
    for title in comparison.titles:
        table.add_column(Text(title), justify="right", overflow="fold")
    with_difference = len(comparison.titles) == 2
    if with_difference:
        table.add_column("difference", justify="right", no_wrap=True)
    for row in comparison.rows:
        if row.unit != "text":
            cells = [_cell(row, value) for value in row.values]
            table.add_row(row.label, *cells, *([_difference(row)] if with_difference else []))
    return table


def _texts(titles: tuple[str, ...], row: Row) -> str:
    """One text where all files agree, else one line a file."""
    if len(set(row.values)) == 1:
        return str(row.values[0])
    return "\n".join(f"{title}: {_cell(row, v)}" for title, v in zip(titles, row.values, strict=True))


def _cell(row: Row, value: Value) -> str:
    if value is None:
        return UNKNOWN
    return value if isinstance(value, str) else WORDS[row.unit](value)


def _difference(row: Row) -> str:
    if row.difference is None:
        return ""
    if row.unit == "fraction":
        return words.points(row.difference)
    return ("+" if row.difference >= 0 else "-") + WORDS[row.unit](abs(row.difference))
