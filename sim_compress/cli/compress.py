"""sim-compress MODEL --target-sparsity PART: the main job, and the way to those with several sparsities."""

import argparse
from pathlib import Path

from sim_compress.cli import max_drop, plan, sweep
from sim_compress.cli.asked import Asked, asked, paper_of, settings_of
from sim_compress.cli.console import note, warning
from sim_compress.cli.job import calibration_beside, chosen_engine, loaded
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
from sim_compress.cli.output import check_output, output_path
from sim_compress.cli.run_folder import run_folder
from sim_compress.cli.stages import Stages
from sim_compress.cli.unused import check_options
from sim_compress.compilation import companion
from sim_compress.compression import KERNELS, STAGES, Settings, compress
from sim_compress.core import solver
from sim_compress.errors import InputError
from sim_compress.report import Report, report_path


def run(arguments: argparse.Namespace) -> int:
    """Compress, measure, write artifact and report, show the report; or what was asked in their place."""
    arguments.paper = paper_of(arguments)
    wanted = asked(arguments)
    check_options(arguments, arguments.data is not None or calibration_beside(arguments.model).exists())
    output = output_path(arguments.output, arguments.model)
    files = _files(arguments, wanted, output)
    named = (arguments.model, arguments.data, arguments.evaluation, arguments.labels)
    check_output(files, [path for path in named if path is not None])
    settings = settings_of(arguments, wanted)
    # Refused before the network is read where it cannot be used here.
    solver(settings.solver)
    if arguments.dry_run:
        plan.show(loaded(arguments), settings, wanted, files, arguments)
    elif wanted.bound is not None:
        max_drop.run(arguments, settings, wanted.bound, output)
    elif arguments.sweep:
        sweep.run(arguments, settings, wanted.levels, output)
    elif wanted.levels:
        show(arguments, _job(arguments, settings, output), output)
    else:
        raise InputError(
            "how far to compress is not said: give --target-sparsity PART without a pattern, "
            "--sweep FROM:TO:STEP or --max-drop POINTS (see  sim-compress --help)"
        )
    return 0


def _files(arguments: argparse.Namespace, wanted: Asked, output: Path) -> tuple[Path, ...]:
    """What would be written."""
    if arguments.sweep:
        return sweep.files(output, wanted.levels if arguments.keep else ())
    return output, report_path(output)


@companion(*KERNELS)
def _job(arguments: argparse.Namespace, settings: Settings, output: Path) -> Report:
    """The whole job; files are written last, so that nothing is left behind where it stops before."""
    with run_folder(arguments, output) as folder:
        with Stages(("load", *STAGES, "evaluate", "save")) as stages:
            stages.begin("load")
            job = loaded(arguments)
            this = Run(arguments, job, network_figures(job), stages)
            stages.begin(STAGES[0])
            with chosen_engine(arguments) as engine, unlogged():
                compressed = compress(
                    job.teacher,
                    job.inputs,
                    settings,
                    stages.update,
                    engine,
                    folder=folder,
                    memory=arguments.memory,
                )
            for text in new_notes(job, compressed):
                note(text)
            for text in compressed.outcomes.warnings:
                warning(text)
            stages.begin("evaluate")
            evaluation = evaluated(job, compressed, lambda part: stages.update("evaluate", part))
            stages.begin("save")
            data = encoded(this, compressed, output)
        return written(this, compressed, evaluation, output, data, tuple(folder.told))
