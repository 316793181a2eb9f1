"""sim-compress MODEL --dry-run: what was found and would be solved."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sim_compress.cli import words
from sim_compress.cli.asked import Asked
from sim_compress.cli.console import OUT, plain
from sim_compress.cli.job import Job
from sim_compress.cli.tables import data_words, facts, planned_blocks
from sim_compress.cli.values import ENGINES
from sim_compress.compression import (
    GramCosts,
    MemoryPlan,
    Settings,
    Target,
    gram_costs,
    memory_plan,
    parts,
    prepared,
    weights_to_keep,
)
from sim_compress.core.engines import engine
from sim_compress.report import BlockFigures, compressed_blocks, drop_words


def show(
    job: Job, settings: Settings, wanted: Asked, files: Sequence[Path], arguments: argparse.Namespace
) -> None:
    """Print the plan of a job that is not refused; nothing is written.

    Args:
        job: teacher and data.
        settings: of the sparsest level.
        wanted: which sparsities were asked for, if any.
        files: what would be written.
        arguments: say on which engine, in how much memory, and whether JSON is printed instead of tables.

    Raises:
        InputError: the job would be refused.
    """
    model = job.teacher.model
    for part in parts(model, job.teacher.nodes, settings):
        if wanted.levels or part.pattern:
            weights_to_keep([a for n, a in model.affines() if n in part.names], part.target)
    # Whether mirror images serve takes runs of the network, many on large images: none is made for a plan.
    ready = prepared(job.teacher, job.inputs, replace(settings, augment="none"))
    costs = gram_costs(ready, settings)
    # No cluster is started for a plan; on one of this machine workers are processes.
    name = arguments.engine if arguments.engine == ENGINES[0] else "processes"
    with engine(name, arguments.workers) as workers:
        memory = memory_plan(Target(ready, _densest(settings, wanted), workers), arguments.memory)
    memory.check()
    found = _Found(job, settings, wanted, files, compressed_blocks(model, model), costs, memory)
    if arguments.json:
        plain(json.dumps(_document(found), indent=2, allow_nan=False) + "\n")
    else:
        OUT.print(planned_blocks(found.blocks))
        OUT.print(facts(_facts(found)))


@dataclass(frozen=True)
class _Found:
    """What a plan tells, in words or as a document."""

    job: Job
    settings: Settings
    wanted: Asked
    files: Sequence[Path]
    blocks: tuple[BlockFigures, ...]
    costs: GramCosts
    memory: MemoryPlan


def _densest(settings: Settings, wanted: Asked) -> Settings:
    """Of the levels that are asked for the one that takes most."""
    return replace(settings, target_sparsity=wanted.levels[0]) if wanted.levels else settings


def _facts(found: _Found) -> dict[str, str]:
    job, settings, wanted, costs = found.job, found.settings, found.wanted, found.costs
    model, rows = job.teacher.model, sum(b.rows for b in found.blocks)
    outputs = ", ".join(o.name for o in model.outputs)
    measured = (
        "the calibration data" if job.evaluation is job.calibration else data_words(job.evaluation.figures)
    )
    return {
        "found": f"{len(model.blocks)} blocks, outputs {outputs}, {words.count(model.parameters)} parameters",
        "would solve": f"{words.count(rows)} row problems, objective {settings.objective}, "
        f"kappa {settings.kappa:g}",
        **_kept_words(job, settings, wanted),
        "Grams": f"{words.memory(costs.bytes)} for {words.count(costs.row_groups)} row groups",
        "memory": _memory_words(found.memory),
        "work": f"{costs.operations:.2g} multiply-adds for all Grams in a pass over the calibration inputs; "
        f"{_passes(wanted, costs)}",
        "calibration": data_words(job.calibration.figures),
        "measured on": measured if job.labels is None else f"{measured}, with labels",
        "would write": words.listed([str(path) for path in found.files]),
    }


def _memory_words(memory: MemoryPlan) -> str:
    """The most that the run takes, and how."""
    room = memory.room
    parts = zip(memory.parts, memory.bytes, strict=True)
    of_parts = ", ".join(f"{part.name} {words.memory(own)}" for part, own in parts)
    limit = "" if memory.limit is None else f" of {words.memory(memory.limit)}"
    allowed = " that --memory allows" if memory.asked else " that are free" if limit else ""
    on_disk = f"; {words.memory(room.on_disk)} of them in files" if room.on_disk else ""
    return (
        f"at most {words.memory(memory.peak)}{limit}{allowed}: {words.memory(memory.held)} for the process, "
        f"and beside it by turns {of_parts}; {room.workers} tasks at once, {room.begun} begun{on_disk}"
    )


def _kept_words(job: Job, settings: Settings, wanted: Asked) -> dict[str, str]:
    """What each level keeps; nothing where no level is named."""
    kept = [
        f"{words.count(_kept(job, replace(settings, target_sparsity=level)))} parameters "
        f"(sparsity {words.percent(level)})"
        for level in wanted.levels
    ]
    found = {"would keep": ", ".join(kept)} if kept else {}
    if wanted.bound is not None:
        what = drop_words(job.labels is not None)
        found["would search"] = f"the largest sparsity with at most {100 * wanted.bound:g} {what}"
    return found


def _passes(wanted: Asked, costs: GramCosts) -> str:
    """Passes with baseline states come once, those with regenerated ones for every level."""
    if costs.passes == 1:
        return "one pass"
    if wanted.bound is not None:
        return "one pass and one more for every level that is tried"
    return f"{1 + max(len(wanted.levels), 1)} passes"


def _document(found: _Found) -> dict[str, object]:
    job, settings, wanted = found.job, found.settings, found.wanted
    network = {
        "file": job.teacher.path.name,
        "sha256": job.teacher.sha256,
        "parameters": job.teacher.model.parameters,
    }
    levels = [
        {"target_sparsity": level, "nonzeros": _kept(job, replace(settings, target_sparsity=level))}
        for level in wanted.levels
    ]
    return {
        "network": network,
        "settings": {name: value for name, value in asdict(settings).items() if name != "target_sparsity"},
        "levels": levels,
        "max_drop": wanted.bound,
        "rows": sum(b.rows for b in found.blocks),
        "grams": asdict(found.costs),
        "memory": {
            **{k: v for k, v in asdict(found.memory).items() if k not in ("parts", "bytes")},
            "parts": [
                {**asdict(part), "bytes": own}
                for part, own in zip(found.memory.parts, found.memory.bytes, strict=True)
            ],
        },
        "calibration": asdict(job.calibration.figures),
        "evaluation": asdict(job.evaluation.figures),
        "files": [str(path) for path in found.files],
        "blocks": [{k: v for k, v in asdict(b).items() if k != "nonzeros"} for b in found.blocks],
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
