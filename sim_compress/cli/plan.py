"""sim-compress MODEL --dry-run: what was found and would be solved."""

import json
from dataclasses import asdict
from pathlib import Path

from sim_compress.cli import words
from sim_compress.cli.console import OUT, plain
from sim_compress.cli.job import Job
from sim_compress.cli.tables import data_words, facts, planned_blocks
from sim_compress.compression import Settings, check_exact, parts, weights_to_keep
from sim_compress.report import BlockFigures, compressed_blocks, report_path


def show(job: Job, settings: Settings, output: Path, as_json: bool) -> None:
    """Print the plan of a job that is not refused; nothing is written.

    Raises:
        InputError: the job would be refused.
    """
    model = job.teacher.model
    for part in parts(model, job.teacher.nodes, settings):
        weights_to_keep([a for n, a in model.affines() if n in part.names], part.target)
    check_exact(job.teacher, job.inputs)
    blocks = compressed_blocks(model, model)
    if as_json:
        plain(json.dumps(_document(job, settings, output, blocks), indent=2, allow_nan=False) + "\n")
    else:
        OUT.print(planned_blocks(blocks))
        OUT.print(facts(_facts(job, settings, output, blocks)))


def _facts(job: Job, settings: Settings, output: Path, blocks: tuple[BlockFigures, ...]) -> dict[str, str]:
    model, rows = job.teacher.model, sum(b.rows for b in blocks)
    outputs = ", ".join(o.name for o in model.outputs)
    found = f"{len(model.blocks)} blocks, outputs {outputs}, {words.count(model.parameters)} parameters"
    measured = (
        "the calibration data" if job.evaluation is job.calibration else data_words(job.evaluation.figures)
    )
    return {
        "found": found,
        "would solve": f"{words.count(rows)} row problems, objective {settings.objective}, "
        f"kappa {settings.kappa:g}",
        "would keep": f"{words.count(_kept(job, settings))} parameters "
        f"(sparsity {words.percent(settings.target_sparsity)})",
        "calibration": data_words(job.calibration.figures),
        "measured on": measured if job.labels is None else f"{measured}, with labels",
        "would write": f"{output} and {report_path(output)}",
    }


def _document(
    job: Job, settings: Settings, output: Path, blocks: tuple[BlockFigures, ...]
) -> dict[str, object]:
    network = {
        "file": job.teacher.path.name,
        "sha256": job.teacher.sha256,
        "parameters": job.teacher.model.parameters,
    }
    return {
        "network": network,
        "settings": asdict(settings),
        "rows": sum(b.rows for b in blocks),
        "nonzeros": _kept(job, settings),
        "calibration": asdict(job.calibration.figures),
        "evaluation": asdict(job.evaluation.figures),
        "output": str(output),
        "blocks": [{k: v for k, v in asdict(b).items() if k != "nonzeros"} for b in blocks],
        "notices": [*job.warnings, *job.notes],
    }


def _kept(job: Job, settings: Settings) -> int:
    """Parameters that stay: the asked part of the blocks that are compressed, and all others."""
    model = job.teacher.model
    gone = sum(
        part.target * sum(a.nnz for n, a in model.affines() if n in part.names)
        for part in parts(model, job.teacher.nodes, settings)
    )
    return round(model.parameters - gone)
