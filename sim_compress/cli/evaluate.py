"""sim-compress evaluate FILE --data DATA: the scores of an artifact."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict

import sim_compress
from sim_compress.artifact import Artifact, read
from sim_compress.cli.console import OUT, last_lines, note, plain, warning
from sim_compress.cli.data import check_scaling, read_data, read_labels, scaling_asked
from sim_compress.cli.stages import Stages
from sim_compress.cli.tables import evaluation_words, facts, figures_table, score_rows
from sim_compress.errors import DataError, InputError
from sim_compress.report import Evaluation, Predict, foreign_report, measure
from sim_compress.runtime import Session


def run(arguments: argparse.Namespace) -> int:
    """Score the artifact and show it."""
    evaluation = _evaluation(arguments)
    if arguments.json:
        document = {"file": str(arguments.file), **asdict(evaluation)}
        plain(json.dumps(document, indent=2, allow_nan=False) + "\n")
    else:
        OUT.print(figures_table(str(arguments.file), score_rows(evaluation)))
        OUT.print(facts({"measured on": evaluation_words(evaluation)}))
    last_lines(evaluation.remarks, json=arguments.json)
    return 0


def _evaluation(arguments: argparse.Namespace) -> Evaluation:
    if arguments.input_shape and arguments.against is None:
        raise InputError("--input-shape is for the network of --against: give both, or leave it out")
    with Stages(("load", "evaluate")) as stages:
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
        scores = measure(
            Session(artifact.model), teacher, data.inputs, labels, lambda p: stages.update("evaluate", p)
        )
    calibrated_on = _entry(artifact, "calibration")
    return Evaluation(data.figures, labels is not None, calibrated_on == data.figures.sha256, scores)


def _teacher(arguments: argparse.Namespace, artifact: Artifact) -> Predict:
    """The network as a function; DataError unless it has the artifact's inputs and outputs."""
    path = arguments.against
    teacher = sim_compress.open_teacher(path, dict(arguments.input_shape))
    # Only here may onnxruntime be needed.
    from sim_compress.report.reference import teacher_outputs

    for what in ("inputs", "outputs"):
        ours, theirs = ({x.name: x.shape for x in getattr(m, what)} for m in (artifact.model, teacher.model))
        if ours != theirs:
            raise DataError(
                f"{path}: has the {what} {theirs}, the artifact {ours}: give the network it came from"
            )
    if teacher.sha256 != _entry(artifact, "teacher"):
        warning(f"{path} is not the file the artifact was made from")
    return teacher_outputs(teacher)


def _entry(artifact: Artifact, key: str) -> object:
    """The sha256 of one part of the provenance, None where it has none."""
    part = artifact.provenance.get(key)
    return part.get("sha256") if isinstance(part, Mapping) else None
