"""A compression before it starts: the teacher and the data, read and checked."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sim_compress.cli import words
from sim_compress.cli.console import note, warning
from sim_compress.cli.data import (
    BYTE,
    Data,
    calibration_data,
    check_scaling,
    naming,
    read_data,
    read_labels,
    scaling_asked,
)
from sim_compress.cli.output import stem
from sim_compress.compression import check_calibration
from sim_compress.core.engines import Engine, engine
from sim_compress.model.maps import Array
from sim_compress.report import Predict
from sim_compress.report.reference import teacher_outputs
from sim_compress.runtime import Checked
from sim_compress.states import Teacher, open_teacher

CALIBRATION_SUFFIX = ".calibration.npz"
FEW_SAMPLES = 32


@dataclass(frozen=True, eq=False)
class Job:
    """What a compression works on.

    Attributes:
        predict: the teacher as a function.
        inputs: the calibration inputs, checked.
        evaluation: the calibration data where no others were named.
        warnings: what makes the result less than it seems.
        notes: choices made for the user.
    """

    teacher: Teacher
    predict: Predict
    calibration: Data
    inputs: Checked
    evaluation: Data
    labels: Array | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def loaded(arguments: argparse.Namespace) -> Job:
    """The job, and on the way what its user should know; errors as of `load_job`."""
    job = load_job(arguments)
    for text in job.warnings:
        warning(text)
    for text in job.notes:
        note(text)
    return job


@contextmanager
def chosen_engine(arguments: argparse.Namespace) -> Iterator[Engine]:
    """The engine that was asked for, as a context."""
    with engine(arguments.engine, arguments.workers) as chosen:
        if chosen.notice:
            note(chosen.notice)
        yield chosen


def calibration_beside(model: Path) -> Path:
    """Where calibration data of a network are looked for that are not named."""
    return model.parent / (stem(model) + CALIBRATION_SUFFIX)


def load_job(arguments: argparse.Namespace) -> Job:
    """Read the teacher and the data, and check that they go together.

    Raises:
        InputError: a file, the data or the labels cannot be used.
    """
    scaling = scaling_asked(arguments.mean, arguments.std)
    teacher = open_teacher(arguments.model, dict(arguments.input_shape))
    predict = teacher_outputs(teacher)
    expected = teacher.model.inputs
    beside = calibration_beside(arguments.model)
    calibration = calibration_data(arguments.data, beside, teacher, scaling, arguments.seed)
    named = arguments.evaluation
    evaluation = read_data(named, expected, scaling) if named else calibration
    check_scaling(scaling, calibration, evaluation)
    with naming(calibration.figures.source):
        checked = check_calibration(teacher, calibration.checked)
    labels = read_labels(arguments.labels, evaluation, teacher.model)
    done = [scaling and scaling.note, calibration.done, evaluation.done]
    notes = dict.fromkeys([*teacher.notes, *_tables(teacher), *filter(None, done)])
    warnings = tuple(_warnings(calibration))
    return Job(teacher, predict, calibration, checked, evaluation, labels, warnings, tuple(notes))


def _tables(teacher: Teacher) -> Iterable[str]:
    """What the target does not count, where there are tables."""
    model = teacher.model
    if held := model.parameters - model.nnz:
        yield (
            f"{words.count(held)} of {words.count(model.parameters)} parameters are in tables that ids are "
            "looked up in: these stay dense, the target counts the rows of M alone"
        )


def _warnings(calibration: Data) -> Iterable[str]:
    figures = calibration.figures
    if figures.data_free:
        yield (
            f"no calibration data: the network's inputs were made up ({figures.source}). Do not trust "
            "the accuracy of the result; give --data with a few hundred inputs as the network sees them"
        )
    if calibration.guess is not None:
        yield (
            f"{calibration.guess} is a guess from the sizes of the network's first layers and scores: "
            "without --data give --mean and --std as in training, which scale pixels / 255; for pixels as "
            f"they are --mean 0 --std {1 / BYTE:.6f}"
        )
    if figures.samples < FEW_SAMPLES:
        yield (
            f"only {words.samples(figures.samples)} for calibration: rows are held close to the "
            "network's own, and sparsity costs more accuracy; give a few hundred"
        )
