"""sim-compress MODEL --sweep FROM:TO:STEP: the whole trade-off curve."""

import argparse
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich import box
from rich.table import Table

from sim_compress.artifact import encode, replace_files
from sim_compress.cli import words
from sim_compress.cli.console import OUT, last_lines, note, plain, warning
from sim_compress.cli.job import Job, chosen_engine, loaded
from sim_compress.cli.levels import LevelStages, level_name, level_number
from sim_compress.cli.outcome import (
    Run,
    encoded,
    evaluated,
    finding_figures,
    network_figures,
    new_notes,
    row_figures,
    setting_figures,
    traced,
    unlogged,
    written,
)
from sim_compress.cli.output import SUFFIX, base
from sim_compress.cli.run_folder import run_folder
from sim_compress.cli.stages import Stages
from sim_compress.cli.tables import facts
from sim_compress.cli.version import package_version
from sim_compress.compilation import companion
from sim_compress.compression import KERNELS, STAGES, Compressed, Settings, sweep
from sim_compress.errors import MissingExtraError, SimCompressError
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
)
from sim_compress.report.reference import remembered

PLOT = ".png"
FORMS = (".sweep.json", ".sweep.html", f".sweep{PLOT}")


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
    if arguments.json:
        plain(to_json(report))
        last_lines(_findings(report), json=True)
        return
    OUT.print(_table(report))
    OUT.print(facts(sweep_facts(report)))
    paths = [str(path) for path in files(output, ()) if path.suffix != PLOT or not _undrawn()]
    OUT.print(f"written: {words.listed(paths)}", soft_wrap=True)
    last_lines(_findings(report), json=False)


def _findings(report: SweepReport) -> list[str]:
    """What every level found, by ascending sparsity, then what labels are worth."""
    found = [f"{level_name(s.target_sparsity)}: {f.text}" for s in report.levels for f in s.findings]
    remarks = dict.fromkeys(text for s in report.levels for score in s.scores for text in score.remarks)
    return [*found, *remarks]


@companion(*KERNELS)
def _swept(
    arguments: argparse.Namespace, settings: Settings, levels: Sequence[float], output: Path
) -> SweepReport:
    """Every level measured; when it is done, so are the files of all so far, and its own where it is kept."""
    left = sorted(levels, reverse=True)
    names = ("load", *STAGES[:-1], *map(level_name, left))
    with run_folder(arguments, output) as folder:
        with Stages(names) as stages:
            stages.begin("load")
            job = loaded(arguments)
            # The network is asked once for what every level is compared with.
            job = replace(job, predict=remembered(job.predict))
            this, shown = Run(arguments, job, network_figures(job), stages), LevelStages(stages)
            stages.begin(STAGES[0])
            found, told = list[SweepLevel](), dict[str, None]()
            with _telling_what_is_done(found, left, output), chosen_engine(arguments) as engine, unlogged():
                swept = sweep(
                    job.teacher,
                    job.inputs,
                    settings,
                    levels,
                    shown.update,
                    engine,
                    folder=folder,
                    memory=arguments.memory,
                )
                for compressed in swept:
                    level = compressed.settings.target_sparsity
                    told |= dict.fromkeys(folder.told) | _told(job, compressed, level, told)
                    evaluation = evaluated(job, compressed, partial(shown.evaluated, level))
                    size = _kept(this, compressed, evaluation, artifact_path(output, level))
                    done = [_level(compressed, evaluation, size), *found]
                    if len(left) > 1:
                        _write(_report(this, settings, done, left[1:], tuple(told)), output)
                    found[:], left[:] = done, left[1:]
        report = _report(this, settings, found, (), tuple(told))
        _write(report, output)
    if missing := _undrawn():
        _, html, plot = files(output, ())
        older = f"; the older {plot} was left as it is" if plot.exists() else ""
        note(f"{plot} was not written and {html} has no chart{older}. {missing}")
    return report


@contextmanager
def _telling_what_is_done(found: Sequence[SweepLevel], left: Sequence[float], output: Path) -> Iterator[None]:
    """Where a sweep ends before its last level, say which levels are in its files and which are missing."""
    try:
        yield
    except (KeyboardInterrupt, SimCompressError):
        if found:
            done, missing = (
                words.listed([level_name(level) for level in sorted(some)])
                for some in ([level.target_sparsity for level in found], left)
            )
            note(f"{files(output, ())[0]} has {done}; not done: {missing}")
        raise


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
    data = encoded(run, compressed, path)
    written(run, compressed, evaluation, path, data)
    return len(data)


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
    run: Run,
    settings: Settings,
    levels: Sequence[SweepLevel],
    missing: Sequence[float],
    told: tuple[str, ...],
) -> SweepReport:
    job: Job = run.job
    asked = {name: value for name, value in setting_figures(settings).items() if name != "target_sparsity"}
    return SweepReport(
        package_version=package_version(),
        network=run.network,
        levels=tuple(levels),
        missing_levels=tuple(sorted(missing)),
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


def _write(report: SweepReport, output: Path) -> None:
    """Figures, page and plot, together; what is drawn is drawn before the first is written."""
    figures, html, plot = files(output, ())
    svg, png = (None, None) if _undrawn() else (chart(report, "svg"), chart(report, "png"))
    contents = {
        figures: to_json(report).encode(),
        html: page(report, svg).encode(errors="replace"),
        plot: png,
    }
    replace_files({path: data for path, data in contents.items() if data is not None})


def _undrawn() -> MissingExtraError | None:
    """Why nothing can be drawn here; None where it can."""
    try:
        check_drawing()
    except MissingExtraError as missing:
        return missing
    return None


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
