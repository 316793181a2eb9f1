"""A compressed model measured, and everything there is to say about it in one report."""

import argparse
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sim_compress.artifact import Data, digest, readable, replace_files, sizes
from sim_compress.cli.console import OUT, last_lines, plain, warning
from sim_compress.cli.job import Job
from sim_compress.cli.stages import Stages
from sim_compress.cli.tables import report_view
from sim_compress.cli.version import package_version
from sim_compress.compression import Compressed, Settings
from sim_compress.report import (
    ArtifactFigures,
    CertificateFigures,
    Evaluation,
    FindingFigures,
    NetworkFigures,
    Report,
    RowFigures,
    TuningFigures,
    compressed_blocks,
    growth,
    gzip_size,
    measure,
    peak_memory,
    report_path,
    to_json,
)
from sim_compress.report.figures import Setting
from sim_compress.runtime import Session

LOGGER = logging.getLogger("sim_compress.compression")


@dataclass(frozen=True, eq=False)
class Run:
    """One run of the program: what it was asked, what it works on, what took how long so far."""

    arguments: argparse.Namespace
    job: Job
    network: NetworkFigures
    stages: Stages


def network_figures(job: Job) -> NetworkFigures:
    """The teacher's file."""
    teacher = job.teacher
    path = Path(teacher.path)
    # Weights in files of their own have no gzipped size that compares with one artifact.
    whole = path.stat().st_size == teacher.size
    gzipped = gzip_size(path) if whole else None
    return NetworkFigures(path.name, teacher.sha256, teacher.size, gzipped, teacher.model.parameters)


@contextmanager
def unlogged() -> Iterator[None]:
    """Findings are not logged while a command runs: it shows them at its end."""
    level = LOGGER.level
    LOGGER.setLevel(logging.ERROR)
    try:
        yield
    finally:
        LOGGER.setLevel(level)


def evaluated(job: Job, compressed: Compressed, progress: Callable[[float], None]) -> Evaluation:
    """The model on the job's evaluation data."""
    scores = measure(Session(compressed.model), job.predict, job.evaluation.inputs, job.labels, progress)
    return Evaluation(
        job.evaluation.figures,
        labelled=job.labels is not None,
        on_calibration=job.evaluation is job.calibration,
        scores=scores,
    )


def traced(compressed: Compressed, job: Job) -> Compressed:
    """The same with the source of the calibration data in its provenance."""
    known = compressed.provenance.get("calibration")
    figures = job.calibration.figures
    calibration = {
        **(known if isinstance(known, Mapping) else {}),
        "source": figures.source,
        "data_free": figures.data_free,
    }
    return replace(compressed, provenance={**compressed.provenance, "calibration": calibration})


def encoded(run: Run, compressed: Compressed, output: Path) -> Data:
    """The artifact that is to be written; a warning where the network's file has fewer bytes."""
    whole = traced(compressed, run.job)
    data = readable(output, whole.model, whole.certificate, whole.provenance)
    for text in growth(run.network.bytes, len(data)):
        warning(text)
    return data


def written(
    run: Run,
    compressed: Compressed,
    evaluation: Evaluation,
    output: Path,
    data: Data,
    notices: tuple[str, ...] = (),
) -> Report:
    """The report of an artifact of these bytes; both are written together. More notices may be given."""
    report = report_of(run, compressed, evaluation, output, data, notices)
    replace_files({output: data, report_path(output): to_json(report).encode()})
    return report


def report_of(
    run: Run,
    compressed: Compressed,
    evaluation: Evaluation,
    output: Path,
    data: Data,
    notices: tuple[str, ...] = (),
) -> Report:
    """Everything there is to say of an artifact of these bytes; more notices may be given."""
    job, stages, started = run.job, run.stages, run.arguments.started
    settings = compressed.settings
    return Report(
        package_version=package_version(),
        network=run.network,
        artifact=_artifact(output, data, compressed),
        target_sparsity=settings.target_sparsity,
        sparsity=compressed.sparsity,
        total_sparsity=compressed.total_sparsity,
        output_errors=compressed.errors,
        findings=finding_figures(compressed),
        calibration=job.calibration.figures,
        evaluation=evaluation,
        certificate=CertificateFigures(compressed.certificate.kind, compressed.certificate.bound),
        rows=row_figures(compressed),
        tuning=TuningFigures(**asdict(compressed.tuning)),
        settings={**setting_figures(settings), "seed": run.arguments.seed},
        seconds={"start": stages.begun - started, **stages.seconds},
        total_seconds=time.perf_counter() - started,
        peak_memory=peak_memory(),
        blocks=compressed_blocks(job.teacher.model, compressed.model),
        notices=(
            *job.warnings,
            *job.notes,
            *new_notes(job, compressed),
            *compressed.outcomes.warnings,
            *growth(run.network.bytes, len(data)),
            *notices,
        ),
    )


def finding_figures(compressed: Compressed) -> tuple[FindingFigures, ...]:
    """What is wrong with the model on the calibration data."""
    return tuple(FindingFigures(f.kind, f.text, f.block) for f in compressed.findings)


def new_notes(job: Job, compressed: Compressed) -> list[str]:
    """Choices made for the user that were not known when the job was loaded."""
    return [text for text in compressed.notes if text not in job.notes]


def row_figures(compressed: Compressed) -> RowFigures:
    """How the convex row problems ended."""
    return RowFigures(compressed.outcomes.named, compressed.outcomes.gap)


def show(arguments: argparse.Namespace, report: Report, output: Path) -> None:
    """The report as it was asked for."""
    if arguments.json:
        plain(to_json(report))
    else:
        OUT.print(report_view(report))
        OUT.print(f"written: {output} and {report_path(output)}", soft_wrap=True)
    last_lines((*(f.text for f in report.findings), *report.evaluation.remarks), json=arguments.json)


def _artifact(path: Path, data: Data, compressed: Compressed) -> ArtifactFigures:
    parts = asdict(sizes(compressed.model))
    return ArtifactFigures(path.name, digest(data), len(data), compressed.model.parameters, **parts)


def setting_figures(settings: Settings) -> dict[str, Setting]:
    """Settings as a report holds them; one epsilon for each channel is a text."""
    found = asdict(settings)
    if isinstance(settings.robust, tuple):
        found["robust"] = ", ".join(f"{epsilon:g}" for epsilon in settings.robust)
    return found
