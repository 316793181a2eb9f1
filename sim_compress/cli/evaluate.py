"""sim-compress evaluate FILE --data DATA: the scores of an artifact."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import sim_compress
from sim_compress.artifact import Artifact, read
from sim_compress.cli.console import OUT, last_lines, note, plain, warning
from sim_compress.cli.data import check_scaling, read_data, read_labels, scaling_asked
from sim_compress.cli.robustness import Moved, check_robustness, measured, robustness_asked, robustness_table
from sim_compress.cli.stages import Stages
from sim_compress.cli.tables import evaluation_words, facts, figures_table, score_rows
from sim_compress.errors import DataError, InputError
from sim_compress.report import Evaluation, Predict, foreign_report, measure
from sim_compress.runtime import Session

if TYPE_CHECKING:
    from sim_compress.states import Teacher


def run(arguments: argparse.Namespace) -> int:
    """Score the artifact and show it."""
    check_robustness(arguments)
    evaluation, robustness = _evaluation(arguments)
    if arguments.json:
        document = {"file": str(arguments.file), **asdict(evaluation)}
        if robustness is not None:
            document["robustness"] = asdict(robustness.attacks)
            document["certified"] = [asdict(c) for c in robustness.certified]
        plain(json.dumps(document, indent=2, allow_nan=False) + "\n")
    else:
        OUT.print(figures_table(str(arguments.file), score_rows(evaluation)))
        if robustness is not None:
            OUT.print(robustness_table(robustness))
        OUT.print(facts({"measured on": evaluation_words(evaluation)}))
    last_lines(evaluation.remarks, json=arguments.json)
    return 0


def _evaluation(arguments: argparse.Namespace) -> tuple[Evaluation, Moved | None]:
    if arguments.input_shape and arguments.against is None:
        raise InputError("--input-shape is for the network of --against: give both, or leave it out")
    asked = robustness_asked(arguments)
    with Stages(("load", "evaluate", *(("attack",) if asked else ()))) as stages:
        stages.begin("load")
        scaling = scaling_asked(arguments.mean, arguments.std)
        artifact = read(arguments.file)
        if remark := foreign_report(arguments.file, artifact.digest):
            warning(remark)
        data = read_data(arguments.data, artifact.model.inputs, scaling)
        check_scaling(scaling, data)
        labels = read_labels(arguments.labels, data, artifact.model)
        if labels is None and arguments.against is None:
            raise InputError(
                "nothing to compare with: give --labels FILE, data with an array `labels`, or --against MODEL"
            )
        for text in filter(None, (scaling and scaling.note, data.done)):
            note(text)
        teacher = None if arguments.against is None else _teacher(arguments, artifact)
        stages.begin("evaluate")
        session = Session(artifact.model)
        predict = None if teacher is None else _predict(teacher)
        scores = measure(session, predict, data.inputs, labels, lambda p: stages.update("evaluate", p))
        robustness = None
        if asked:
            stages.begin("attack")
            model = None if teacher is None else teacher.model
            robustness = measured(
                arguments, session, model, data, labels, scaling, lambda p: stages.update("attack", p)
            )
    calibrated_on = _entry(artifact, "calibration")
    known = calibrated_on == data.figures.sha256
    return Evaluation(data.figures, labels is not None, known, scores), robustness


def _teacher(arguments: argparse.Namespace, artifact: Artifact) -> "Teacher":
    """The network; DataError unless it has the artifact's inputs and outputs."""
    path = arguments.against
    teacher = sim_compress.open_teacher(path, dict(arguments.input_shape))
    for what in ("inputs", "outputs"):
        ours, theirs = ({x.name: x.shape for x in getattr(m, what)} for m in (artifact.model, teacher.model))
        if ours != theirs:
            raise DataError(
                f"{path}: has the {what} {theirs}, the artifact {ours}: give the network it came from"
            )
    if teacher.sha256 != _entry(artifact, "teacher"):
        warning(f"{path} is not the file the artifact was made from")
    return teacher


def _predict(teacher: "Teacher") -> Predict:
    """The network as a function."""
    # Only here may onnxruntime be needed.
    from sim_compress.report.reference import teacher_outputs

    return teacher_outputs(teacher)


def _entry(artifact: Artifact, key: str) -> object:
    """The sha256 of one part of the provenance, None where it has none."""
    part = artifact.provenance.get(key)
    return part.get("sha256") if isinstance(part, Mapping) else None
