"""sim-compress MODEL --target-sparsity PART: the main job."""

import argparse
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from sim_compress.artifact import sizes
from sim_compress.cli import plan
from sim_compress.cli.console import OUT, note, plain, warning
from sim_compress.cli.job import Job, load_job
from sim_compress.cli.output import check_output, output_path
from sim_compress.cli.stages import Stages
from sim_compress.cli.tables import report_view
from sim_compress.cli.values import targets_of
from sim_compress.cli.version import package_version
from sim_compress.compression import STAGES, Compressed, Settings, compress, pattern_of
from sim_compress.core.engines import Engine, engine
from sim_compress.errors import InputError
from sim_compress.report import (
    ArtifactFigures,
    CertificateFigures,
    Evaluation,
    NetworkFigures,
    Report,
    RowFigures,
    compressed_blocks,
    gzip_size,
    measure,
    peak_memory,
    report_path,
    sha256,
    to_json,
    write_report,
)
from sim_compress.runtime import Session


def run(arguments: argparse.Namespace) -> int:
    """Compress, measure, write artifact and report, show the report."""
    target, targets = targets_of(arguments.target_sparsity or _implied(arguments.pattern))
    settings = Settings(
        target,
        objective=arguments.objective,
        kappa=arguments.kappa,
        support=arguments.support,
        states=arguments.states,
        allocation=arguments.allocation,
        nearest_rounds=arguments.nearest_rounds,
        solver=arguments.solver,
        matching=arguments.matching,
        ignore=tuple(arguments.ignore),
        only=tuple(arguments.only),
        targets=targets,
        pattern=arguments.pattern,
        values=arguments.values,
    )
    output = output_path(arguments.output, arguments.model)
    named = (arguments.model, arguments.data, arguments.evaluation, arguments.labels)
    check_output(output, [path for path in named if path is not None])
    if arguments.dry_run:
        plan.show(_loaded(arguments), settings, output, arguments.json)
        return 0
    report = _job(arguments, settings, output)
    if arguments.json:
        plain(to_json(report))
    else:
        OUT.print(report_view(report))
        OUT.print(f"written: {output} and {report_path(output)}", soft_wrap=True)
    return 0


def _implied(pattern: str) -> list[tuple[None, float]]:
    """The target that a pattern fixes, if it does."""
    removed = pattern_of(pattern).sparsity
    return [] if removed is None else [(None, removed)]


def _loaded(arguments: argparse.Namespace) -> Job:
    job = load_job(arguments)
    for text in job.warnings:
        warning(text)
    for text in job.notes:
        note(text)
    return job


def _job(arguments: argparse.Namespace, settings: Settings, output: Path) -> Report:
    """The whole job; files are written last, so that nothing is left behind where it stops before."""
    begun = time.perf_counter()
    with Stages(("load", *STAGES, "evaluate", "save")) as stages:
        stages.begin("load")
        job = _loaded(arguments)
        network = _network(job)
        stages.begin(STAGES[0])
        with _engine(arguments) as chosen:
            compressed = compress(job.teacher, job.inputs, settings, stages.update, chosen)
        for text in compressed.outcomes.warnings:
            warning(text)
        stages.begin("evaluate")
        evaluation = _evaluation(job, compressed, stages)
        stages.begin("save")
        size = _traced(compressed, job).save(output)
    report = Report(
        package_version=package_version(),
        network=network,
        artifact=_artifact(output, size, compressed),
        target_sparsity=settings.target_sparsity,
        sparsity=compressed.sparsity,
        total_sparsity=compressed.total_sparsity,
        calibration=job.calibration.figures,
        evaluation=evaluation,
        certificate=CertificateFigures(compressed.certificate.kind, compressed.certificate.bound),
        rows=RowFigures(compressed.outcomes.named, compressed.outcomes.gap),
        settings={**asdict(settings), "seed": arguments.seed},
        seconds={"start": begun - arguments.started, **stages.seconds},
        total_seconds=time.perf_counter() - arguments.started,
        peak_memory=peak_memory(),
        blocks=compressed_blocks(job.teacher.model, compressed.model),
        notices=(*job.warnings, *job.notes, *compressed.outcomes.warnings),
    )
    write_report(report_path(output), report)
    return report


def _engine(arguments: argparse.Namespace) -> AbstractContextManager[Engine | None]:
    if arguments.engine is None:
        if arguments.workers is not None:
            raise InputError("--workers needs --engine: without one, rows are solved by threads")
        return nullcontext()
    return engine(arguments.engine, arguments.workers)


def _network(job: Job) -> NetworkFigures:
    teacher = job.teacher
    path = Path(teacher.path)
    # Weights in files of their own have no gzipped size that compares with one artifact.
    whole = path.stat().st_size == teacher.size
    gzipped = gzip_size(path) if whole else None
    return NetworkFigures(path.name, teacher.sha256, teacher.size, gzipped, teacher.model.parameters)


def _artifact(path: Path, size: int, compressed: Compressed) -> ArtifactFigures:
    parts = asdict(sizes(compressed.model))
    return ArtifactFigures(path.name, sha256(path), size, compressed.model.parameters, **parts)


def _evaluation(job: Job, compressed: Compressed, stages: Stages) -> Evaluation:
    scores = measure(
        Session(compressed.model),
        job.predict,
        job.evaluation.inputs,
        job.labels,
        lambda part: stages.update("evaluate", part),
    )
    return Evaluation(
        job.evaluation.figures,
        labelled=job.labels is not None,
        on_calibration=job.evaluation is job.calibration,
        scores=scores,
    )


def _traced(compressed: Compressed, job: Job) -> Compressed:
    """The same with the source of the calibration data in its provenance."""
    known = compressed.provenance.get("calibration")
    figures = job.calibration.figures
    calibration = {
        **(known if isinstance(known, Mapping) else {}),
        "source": figures.source,
        "data_free": figures.data_free,
    }
    return replace(compressed, provenance={**compressed.provenance, "calibration": calibration})
