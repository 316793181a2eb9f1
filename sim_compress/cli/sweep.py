"""sim-compress MODEL --sweep FROM:TO:STEP: the whole trade-off curve."""

import argparse
import time
from collections.abc import Container, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from rich import box
from rich.table import Table

from sim_compress.artifact import encode, replace_file
from sim_compress.cli import words
from sim_compress.cli.console import OUT, last_lines, note, plain, warning
from sim_compress.cli.job import Job, chosen_engine, loaded
from sim_compress.cli.levels import LevelStages, level_name, level_number
from sim_compress.cli.outcome import (
    Run,
    evaluated,
    finding_figures,
    network_figures,
    new_notes,
    report_of,
    row_figures,
    saved,
    traced,
    unlogged,
)
from sim_compress.cli.output import SUFFIX, base
from sim_compress.cli.stages import Stages
from sim_compress.cli.tables import facts
from sim_compress.cli.version import package_version
from sim_compress.compression import STAGES, Compressed, Settings, sweep
from sim_compress.errors import MissingExtraError
from sim_compress.report import (
    Evaluation,
    SweepLevel,
    SweepReport,
    chart,
    check_drawing,
    level_table,
    page,
    peak_memory,
    report_path,
    sweep_facts,
    to_json,
    write_report,
)
from sim_compress.report.reference import remembered

FORMS = (".sweep.json", ".sweep.html", ".sweep.png")


def files(output: Path, kept: Sequence[float]) -> tuple[Path, ...]:
    """What a sweep may write: figures, page and plot, then artifact and report of every level it keeps."""
    stem = base(output)
    artifacts = [artifact_path(output, level) for level in kept]
    return (
        *(stem.with_name(stem.name + form) for form in FORMS),
        *artifacts,
        *(report_path(path) for path in artifacts),
    )


def artifact_path(output: Path, level: float) -> Path:
    """NAME.40.sim.safetensors."""
    stem = base(output)
    return stem.with_name(f"{stem.name}.{level_number(level)}{SUFFIX}")


def run(arguments: argparse.Namespace, settings: Settings, levels: Sequence[float], output: Path) -> None:
    """Compress to every level, measure, write figures, page and plot, show the table."""
    report = _swept(arguments, settings, levels, output)
    written = _write(report, output)
    if arguments.json:
        plain(to_json(report))
        last_lines(_findings(report), json=True)
        return
    OUT.print(_table(report))
    OUT.print(facts(sweep_facts(report)))
    OUT.print(f"written: {words.listed(list(map(str, written)))}", soft_wrap=True)
    last_lines(_findings(report), json=False)


def _findings(report: SweepReport) -> list[str]:
    """What every level found, by ascending sparsity, then what labels are worth."""
    found = [f"{level_name(s.target_sparsity)}: {f.text}" for s in report.levels for f in s.findings]
    remarks = dict.fromkeys(text for s in report.levels for score in s.scores for text in score.remarks)
    return [*found, *remarks]


def _swept(
    arguments: argparse.Namespace, settings: Settings, levels: Sequence[float], output: Path
) -> SweepReport:
    """Every level measured; its artifact is written where it is kept, when it is done."""
    sparsest_first = sorted(levels, reverse=True)
    with Stages(("load", *STAGES[:-1], *map(level_name, sparsest_first))) as stages:
        stages.begin("load")
        job = loaded(arguments)
        # The network is asked once for what every level is compared with.
        job = replace(job, predict=remembered(job.predict))
        this, shown = Run(arguments, job, network_figures(job), stages), LevelStages(stages)
        stages.begin(STAGES[0])
        found, told = list[SweepLevel](), dict[str, None]()
        with chosen_engine(arguments) as engine, unlogged():
            for compressed in sweep(job.teacher, job.inputs, settings, levels, shown.update, engine):
                level = compressed.settings.target_sparsity
                told |= _told(job, compressed, level, told)
                evaluation = evaluated(job, compressed, partial(shown.evaluated, level))
                size = _kept(this, compressed, evaluation, artifact_path(output, level))
                found.append(_level(compressed, evaluation, size))
    return _report(this, settings, tuple(reversed(found)), tuple(told))


def _told(job: Job, compressed: Compressed, level: float, before: Container[str]) -> dict[str, None]:
    """Notes and warnings of one level, shown where no level before it had them."""
    notes = [text for text in new_notes(job, compressed) if text not in before]
    warnings = [f"{level_name(level)}: {text}" for text in compressed.outcomes.warnings]
    for text in notes:
        note(text)
    for text in warnings:
        warning(text)
    return dict.fromkeys([*notes, *warnings])


def _kept(run: Run, compressed: Compressed, evaluation: Evaluation, path: Path) -> int:
    """Bytes of the level's artifact, which is written with its report if that was asked for."""
    if not run.arguments.keep:
        whole = traced(compressed, run.job)
        return len(encode(whole.model, whole.certificate, whole.provenance))
    size = saved(run, compressed, path)
    write_report(report_path(path), report_of(run, compressed, evaluation, path, size))
    return size


def _level(compressed: Compressed, evaluation: Evaluation, size: int) -> SweepLevel:
    return SweepLevel(
        target_sparsity=compressed.settings.target_sparsity,
        sparsity=compressed.sparsity,
        total_sparsity=compressed.total_sparsity,
        nonzeros=compressed.model.parameters,
        bytes=size,
        scores=evaluation.scores,
        rows=row_figures(compressed),
        output_errors=compressed.errors,
        findings=finding_figures(compressed),
    )


def _report(
    run: Run, settings: Settings, levels: tuple[SweepLevel, ...], told: tuple[str, ...]
) -> SweepReport:
    job: Job = run.job
    asked = {name: value for name, value in asdict(settings).items() if name != "target_sparsity"}
    return SweepReport(
        package_version=package_version(),
        network=run.network,
        levels=levels,
        calibration=job.calibration.figures,
        evaluation=job.evaluation.figures,
        labelled=job.labels is not None,
        on_calibration=job.evaluation is job.calibration,
        settings={**asked, "seed": run.arguments.seed},
        seconds={"start": run.stages.begun - run.arguments.started, **run.stages.seconds},
        total_seconds=time.perf_counter() - run.arguments.started,
        peak_memory=peak_memory(),
        notices=(*job.warnings, *job.notes, *told),
    )


def _write(report: SweepReport, output: Path) -> list[Path]:
    """Figures, page and plot, each whole; what is drawn is drawn before the first is written."""
    svg = png = None
    figures, html, plot = files(output, ())
    try:
        check_drawing()
        svg, png = chart(report, "svg"), chart(report, "png")
    except MissingExtraError as missing:
        older = f"; the older {plot} was left as it is" if plot.exists() else ""
        note(f"{plot} was not written and {html} has no chart{older}. {missing}")
    contents = {figures: to_json(report).encode(), html: page(report, svg).encode(), plot: png}
    written = {path: data for path, data in contents.items() if data is not None}
    for path, data in written.items():
        replace_file(path, data)
    return list(written)


def _table(report: SweepReport) -> Table:
    """The levels; the file and the page have the agreement too where labels tell more."""
    found = level_table(report)
    shown = [n for n, h in enumerate(found.headings) if h != "agreement" or "accuracy" not in found.headings]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number in shown:
        table.add_column(found.headings[number], justify="right", no_wrap=True)
    for row in found.rows:
        table.add_row(*(row[number] for number in shown))
    return table
