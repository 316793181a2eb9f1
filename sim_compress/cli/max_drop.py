"""sim-compress MODEL --max-drop POINTS: as sparse as a bound on the measured drop allows."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.table import Table

from sim_compress.cli import words
from sim_compress.cli.console import OUT, note, warning
from sim_compress.cli.job import Job, chosen_engine, loaded
from sim_compress.cli.levels import LevelStages, level_name
from sim_compress.cli.outcome import (
    Run,
    encoded,
    evaluated,
    network_figures,
    new_notes,
    show,
    unlogged,
    written,
)
from sim_compress.cli.run_folder import run_folder
from sim_compress.cli.stages import Stages
from sim_compress.compilation import companion
from sim_compress.compression import KERNELS, STAGES, Compressed, Found, Settings, Tried, sparsest
from sim_compress.errors import DataError
from sim_compress.report import Evaluation, Report, classes_of, drop_words, shift_remark
from sim_compress.report.reference import remembered
from sim_compress.runtime import is_scores


def run(arguments: argparse.Namespace, settings: Settings, bound: float, output: Path) -> None:
    """Search, write artifact and report of what was found, show what was tried and the report."""
    report, found = _searched(arguments, settings, bound, output)
    if not arguments.json:
        OUT.print(_table(found.tried, bound))
    show(arguments, report, output)


@companion(*KERNELS)
def _searched(
    arguments: argparse.Namespace, settings: Settings, bound: float, output: Path
) -> tuple[Report, Found]:
    """The search; files are written last, so that nothing is left behind where it stops before."""
    with run_folder(arguments, output) as folder:
        with Stages(("load", *STAGES[:-1])) as stages:
            stages.begin("load")
            job = loaded(arguments)
            # The network is asked once for what every level is compared with.
            job = replace(job, predict=remembered(job.predict))
            _check_scores(job)
            _check_labels(job)
            notices = _notices(job, bound)
            note(notices[0])
            this, shown = Run(arguments, job, network_figures(job), stages), LevelStages(stages)
            measured: dict[float, Evaluation] = {}

            def drop(compressed: Compressed) -> float:
                level = compressed.settings.target_sparsity
                measured[level] = evaluated(job, compressed, partial(shown.evaluated, level))
                return _drop(measured[level])

            stages.begin(STAGES[0])
            with chosen_engine(arguments) as engine, unlogged():
                found = sparsest(
                    job.teacher,
                    job.inputs,
                    settings,
                    drop,
                    bound,
                    shown.update,
                    engine,
                    folder=folder,
                    memory=arguments.memory,
                )
            for text in new_notes(job, found.compressed):
                note(text)
            for text in found.compressed.outcomes.warnings:
                warning(text)
            stages.begin("save")
            data = encoded(this, found.compressed, output)
        evaluation = measured[found.compressed.settings.target_sparsity]
        told = (*notices, *folder.told, f"tried: {'; '.join(map(_words, found.tried))}")
        return written(this, found.compressed, evaluation, output, data, told), found


def _drop(evaluation: Evaluation) -> float:
    """Of the output with labels, else the largest of all with class scores."""
    if evaluation.labelled:
        evaluation = replace(
            evaluation, scores=tuple(s for s in evaluation.scores if s.accuracy_after is not None)
        )
    return max(score.drop for score in evaluation.scores if score.drop is not None)


def _check_scores(job: Job) -> None:
    """Refuse outputs whose drop has no meaning."""
    outputs = job.teacher.model.outputs
    if not any(is_scores(output.shape) for output in outputs):
        raise DataError(
            f"--max-drop counts samples whose largest score changes, but no output is a vector of class "
            f"scores ({', '.join(f'{o.name}: {words.shape(o.shape)}' for o in outputs)}): look at the output "
            "error of  --sweep 10:90:10  and choose a --target-sparsity"
        )


def _check_labels(job: Job) -> None:
    """Refuse labels that are counted from another number: whatever is lost, their accuracy stays."""
    if job.labels is None:
        return
    (name,) = (o.name for o in job.teacher.model.outputs if is_scores(o.shape))
    classes = classes_of(job.teacher.model, job.predict, job.evaluation.inputs, name)
    if shifted := shift_remark(classes, job.labels, "the network"):
        raise DataError(f"{job.evaluation.figures.source}: {shifted}. --max-drop needs labels that fit")


def _notices(job: Job, bound: float) -> tuple[str, ...]:
    """How the sparsity is chosen, which is not fair to judge by."""
    lost = drop_words(job.labels is not None)
    if job.labels is None and sum(is_scores(o.shape) for o in job.teacher.model.outputs) > 1:
        lost += ", in the output that loses most"
    what = f"the sparsity is the largest with a drop of at most {100 * bound:g} ({lost})"
    if job.evaluation is job.calibration:
        return (
            f"{what}, measured on the calibration inputs, on which rows are fitted: other inputs lose more, "
            "give them as --eval",
        )
    return (f"{what}, measured on {job.evaluation.figures.source}: a fair score needs others",)


def _table(tried: Sequence[Tried], bound: float) -> Table:
    table = Table()
    for heading in ("tried", "drop", f"at most {100 * bound:g}"):
        table.add_column(heading, justify="right", no_wrap=True)
    for step in sorted(tried, key=lambda t: t.sparsity):
        table.add_row(*_cells(step, bound))
    return table


def _cells(step: Tried, bound: float) -> tuple[str, str, str]:
    return level_name(step.sparsity), f"{100 * step.drop:.2f}", "yes" if step.within(bound) else "no"


def _words(step: Tried) -> str:
    return f"{level_name(step.sparsity)}, drop {100 * step.drop:.2f}"
