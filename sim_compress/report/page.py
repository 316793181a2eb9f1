"""A sweep as one HTML page that needs nothing else: its chart, its table, and where they come from."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template

from sim_compress.report.levels import drop_words, level_table
from sim_compress.report.sweep import SweepReport

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
svg { width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2em 0.8em; text-align: right; border-bottom: 1px solid #ccc; }
dt { font-weight: bold; }
</style>
</head>
<body>
<h1>$title</h1>
$chart
<table>
<thead><tr>$headings</tr></thead>
<tbody>
$rows
</tbody>
</table>
<dl>
$facts
</dl>
</body>
</html>
""")


def page(report: SweepReport, svg: bytes | None) -> str:
    """The page.

    Args:
        report: the sweep.
        svg: its chart; None where it could not be drawn, which the page then says.
    """
    table = level_table(report)
    return PAGE.substitute(
        title=escape(f"{report.network.file} at {len(report.levels)} sparsities"),
        chart=_inline(svg) if svg else "<p>Not drawn: pip install 'sim-compress[plot]'</p>",
        headings=_cells("th", table.headings),
        rows="\n".join(f"<tr>{_cells('td', row)}</tr>" for row in table.rows),
        facts="\n".join(_facts(sweep_facts(report))),
    )


def sweep_facts(report: SweepReport) -> dict[str, str]:
    """What a reader of the table should know."""
    calibration, evaluation = report.calibration, report.evaluation
    before = report.levels[0].headline.accuracy_before
    found = {
        "network": f"{report.network.file}, {report.network.bytes:,} bytes, "
        f"{report.network.parameters:,} parameters"
        + ("" if before is None else f", accuracy {100 * before:.2f} %"),
        "calibration": f"{calibration.source}, {calibration.samples:,} samples",
        "measured on": f"{evaluation.source}, {evaluation.samples:,} samples"
        + ("" if report.labelled else ", without labels")
        + (", the calibration data: a fair score needs others" if report.on_calibration else ""),
    }
    if report.missing_levels:
        found["missing"] = (
            f"{', '.join(f'{100 * level:.10g} %' for level in report.missing_levels)}: the sweep was ended "
            "before them"
        )
    if report.levels[0].headline.drop is not None:
        found["drop"] = drop_words(report.labelled)
    found["error"] = "of the outputs, relative to their size"
    if report.notices:
        found["notes"] = "; ".join(report.notices)
    return found


def _inline(svg: bytes) -> str:
    """The drawing without what stands before its element in a file of its own."""
    text = svg.decode()
    return text[text.index("<svg") :]


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def _facts(pairs: Mapping[str, str]) -> Iterable[str]:
    return (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs.items())
