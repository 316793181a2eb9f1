"""Tables of a report and of blocks."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sim_compress.artifact import PARTS, Listed, Sizes
from sim_compress.cli import words
from sim_compress.cli.compress_options import UNSTRUCTURED
from sim_compress.report import ArtifactFigures, BlockFigures, DataFigures, Evaluation, Report, Score
from sim_compress.runtime import StepTime

ON_CALIBRATION = "These are the calibration data: a fair score needs others"
Cells = tuple[str, str, str, str]


def report_view(report: Report) -> RenderableType:
    """What came out: figures before and after, then where they come from."""
    title = f"{report.network.file} -> {report.artifact.file}"
    return Group(
        figures_table(title, [*_size_rows(report), *score_rows(report.evaluation), *_error_rows(report)]),
        facts(_facts(report)),
    )


def figures_table(title: str, rows: Iterable[Cells]) -> RenderableType:
    """Figures before and after, with their change; columns that no row fills are left out."""
    rows = tuple(rows)
    table = Table()
    headings = ("", "before", "after", "change")
    filled = [i for i in range(len(headings)) if any(row[i] for row in rows)]
    for i in filled:
        table.add_column(headings[i], justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(row[i] for i in filled))
    # A table's own title would be folded to the width of the table.
    return Group(Text(title, style="bold"), table)


def facts(pairs: Mapping[str, str]) -> Table:
    """Names and sentences."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column(overflow="fold")
    for name, text in pairs.items():
        grid.add_row(name, Text(text))
    return grid


def _size_rows(report: Report) -> list[Cells]:
    network, artifact = report.network, report.artifact
    rows = [
        (
            "parameters, nonzeros",
            words.count(network.parameters),
            words.count(artifact.nonzeros),
            f"{artifact.nonzeros - network.parameters:+,}",
        ),
        (
            "sparsity",
            _asked(report),
            words.percent(report.sparsity),
            "",
        ),
        *_total_rows(report),
        (
            "file size",
            words.size(network.bytes),
            words.size(artifact.bytes),
            _times(artifact.bytes, network.bytes),
        ),
    ]
    if network.gzip_bytes is not None:
        change = _times(artifact.bytes, network.gzip_bytes)
        rows.append(("against its gzip", words.size(network.gzip_bytes), words.size(artifact.bytes), change))
    return rows


def _asked(report: Report) -> str:
    by_name = " and by name" if report.settings.get("targets") else ""
    pattern = report.settings.get("pattern", UNSTRUCTURED)
    structure = "" if pattern == UNSTRUCTURED else f", {pattern}"
    return f"asked {words.percent(report.target_sparsity)}{by_name}{structure}"


def _total_rows(report: Report) -> list[Cells]:
    """The sparsity of all parameters, where some were left alone."""
    if report.total_sparsity == report.sparsity:
        return []
    return [("sparsity, all parameters", "", words.percent(report.total_sparsity), "")]


def _times(after: int, before: int) -> str:
    return f"x {after / before:.3f}"


def score_rows(evaluation: Evaluation) -> list[Cells]:
    """Accuracy, agreement and output error of every output; the output is named where there are several."""
    return [
        (f"{label} ({score.output})" if len(evaluation.scores) > 1 else label, before, after, change)
        for score in evaluation.scores
        for label, before, after, change in _scores(score)
    ]


def _error_rows(report: Report) -> list[Cells]:
    """Error of every output on the calibration data, where 1 is that of the best constant."""
    several = len(report.output_errors) > 1
    return [
        (f"error / variance ({name})" if several else "error / variance", "", words.ratio(error), "")
        for name, error in report.output_errors.items()
        if error is not None
    ]


def _scores(score: Score) -> Iterable[Cells]:
    before, after = score.accuracy_before, score.accuracy_after
    if after is not None:
        known = "" if before is None else words.percent(before)
        change = "" if before is None else words.points(after - before)
        yield "accuracy", known, words.percent(after), change
    if score.agreement is not None:
        yield "top-1 agreement", "", words.percent(score.agreement), ""
    if score.relative_error is not None:
        yield "relative output error", "", words.ratio(score.relative_error), ""


def _facts(report: Report) -> dict[str, str]:
    peak = report.peak_memory
    return {
        "artifact": size_words(report.artifact),
        "calibration": data_words(report.calibration),
        "measured on": evaluation_words(report.evaluation),
        "certificate": words.certificate(report.certificate.kind, report.certificate.bound),
        "row problems": words.outcomes(report.rows.outcomes, report.rows.gap),
        "tuning": words.tuning(
            report.tuning.epochs,
            report.tuning.before,
            report.tuning.after,
            robust=report.settings.get("robust") is not None,
        ),
        "wall time": f"{words.seconds(report.total_seconds)} ({words.stages(report.seconds)})",
        "peak memory": "not known on this system" if peak is None else words.memory(peak),
    }


def size_words(artifact: ArtifactFigures | Sizes) -> str:
    """What the bytes of an artifact are for."""
    supports = (
        f"supports {words.size(artifact.supports)}, their entropy {words.size(artifact.supports_bound)}"
    )
    values = f"values {words.size(artifact.values)}, without code {words.size(artifact.values_plain)}"
    return f"{values}; {supports}"


def data_words(data: DataFigures) -> str:
    """A data set in a few words."""
    return f"{data.source}, {words.samples(data.samples)}"


def evaluation_words(evaluation: Evaluation) -> str:
    """What was measured on, and what that does not say."""
    text = data_words(evaluation.data)
    if not evaluation.labelled:
        text += " without labels"
    return f"{text}. {ON_CALIBRATION}" if evaluation.on_calibration else text


def planned_blocks(blocks: Iterable[BlockFigures]) -> Table:
    """Blocks of a network, one a line."""
    return _blocks(blocks, {**SIZES, "parameters": lambda b: words.count(b.parameters)})


def stored_blocks(blocks: Iterable[BlockFigures]) -> Table:
    """Blocks of an artifact, one a line."""
    return _blocks(blocks, {**SIZES, "nonzeros": lambda b: words.count(b.nonzeros), "sparsity": _sparsity})


def stored_tensors(items: Iterable[Listed]) -> Table:
    """Matrices, biases and other tensors of an artifact, one a line."""
    table = Table()
    for heading in ("tensor", "block", "shape"):
        table.add_column(heading, overflow="ellipsis", no_wrap=True)
    for heading in ("nonzeros", "bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("stored as", overflow="fold")
    for item in items:
        numbers = ("" if n is None else words.count(n) for n in (item.nonzeros, item.bytes))
        table.add_row(
            Text(item.name), Text(item.block or ""), words.shape(item.shape), *numbers, Text(_stored_as(item))
        )
    return table


def _stored_as(item: Listed) -> str:
    """Parts with their dtype, or the tensor that it shares."""
    by_dtype: dict[str, list[str]] = {}
    for name, dtype in item.tensors.items():
        part = name.removeprefix(f"{item.name}.")
        said = [] if name == item.name else [part] if part in PARTS else [f"in {name}"]
        by_dtype.setdefault(dtype, []).extend(said)
    return "; ".join(f"{dtype} {', '.join(parts)}".strip() for dtype, parts in by_dtype.items())


SIZES: Mapping[str, Callable[[BlockFigures], str]] = {
    "rows": lambda b: words.count(b.rows) if b.rows_of is None else "shared",
    "features": lambda b: words.count(b.features),
}


def _sparsity(block: BlockFigures) -> str:
    return "" if block.sparsity is None else words.percent(block.sparsity)


def _blocks(blocks: Iterable[BlockFigures], numbers: Mapping[str, Callable[[BlockFigures], str]]) -> Table:
    table = Table()
    table.add_column("block", overflow="ellipsis", no_wrap=True)
    table.add_column("phi", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for block in blocks:
        cells = (number(block) for number in numbers.values())
        table.add_row(Text(block.name), block.phi, words.shape(block.shape), *cells)
    return table


def steps_table(batch: int, steps: Sequence[StepTime]) -> Table:
    """What every block takes, and what share of the whole that is."""
    whole = sum(step.seconds for step in steps)
    table = Table(title=f"steps of the first chunk at batch {batch}, one thread")
    for heading in ("step", "runs as"):
        table.add_column(heading, overflow="fold")
    for heading in ("time", "share", "GFLOP/s", "bytes"):
        table.add_column(heading, justify="right")
    for step in steps:
        rate = f"{step.gflops:.1f}" if step.products else ""
        share = f"{100 * step.seconds / whole:.1f} %"
        table.add_row(step.name, step.how, f"{1e6 * step.seconds:.1f} us", share, rate, f"{step.bytes:,}")
    return table
