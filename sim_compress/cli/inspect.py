"""sim-compress inspect FILE: what an artifact holds, its certificate recomputed."""

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sim_compress.artifact import JSON, Artifact, listing, read, sizes
from sim_compress.certificate import output_bound
from sim_compress.cli import tables, words
from sim_compress.cli.console import OUT, plain, warning
from sim_compress.model import ImplicitModel
from sim_compress.report import BlockFigures, foreign_report, stored_blocks
from sim_compress.runtime import Session, StepTime


def run(arguments: argparse.Namespace) -> int:
    """Read, check and show the artifact."""
    artifact = read(arguments.file)
    if remark := foreign_report(arguments.file, artifact.digest):
        warning(remark)
    if arguments.json:
        document = _document(arguments.file, artifact)
        if arguments.per_step:
            document["steps"] = [asdict(step) for step in _steps(artifact.model)]
        plain(json.dumps(document, indent=2, allow_nan=False) + "\n")
        return 0
    blocks = stored_blocks(artifact.model)
    OUT.print(tables.stored_blocks(blocks))
    OUT.print("\nWhat a safetensors reader sees")
    OUT.print(tables.stored_tensors(listing(artifact)))
    OUT.print(tables.facts(_facts(arguments.file, artifact, blocks)))
    if arguments.per_step:
        OUT.print(tables.steps_table(1, _steps(artifact.model)))
    OUT.print("\nProvenance")
    OUT.print(tables.facts(_flat("", artifact.provenance)))
    return 0


def _facts(path: Path, artifact: Artifact, blocks: tuple[BlockFigures, ...]) -> dict[str, str]:
    model, entries = artifact.model, sum(b.parameters for b in blocks)
    inputs = (f"{i.name} {words.shape(i.shape)} {i.dtype}" for i in model.inputs)
    outputs = (f"{o.name} {words.shape(o.shape)}" for o in model.outputs)
    return {
        "file": f"{path}, {words.size(artifact.size)}",
        "inputs": ", ".join(inputs),
        "outputs": ", ".join(outputs),
        "nonzeros": f"{words.count(model.parameters)} of {words.count(entries)} entries",
        "stored": tables.size_words(sizes(model)),
        "digest": f"{artifact.digest} (recomputed from the bytes)",
        "certificate": f"{_certificate(artifact)} (recomputed from the stored values)",
        "Lipschitz bound": _lipschitz_words(model),
    }


def _steps(model: ImplicitModel) -> tuple[StepTime, ...]:
    """What every block takes on one sample of ones, as many ids as there are the first of their table."""
    inputs = {
        i.name: (np.ones if i.dtype.startswith("float") else np.zeros)((1, *i.shape), i.dtype)
        for i in model.inputs
    }
    return Session(model, threads=1).profile(inputs)


def _certificate(artifact: Artifact) -> str:
    return words.certificate(artifact.certificate.kind, artifact.certificate.bound)


def _lipschitz(model: ImplicitModel) -> float | None:
    """Of the outputs for the inputs in the inf-norm; None where there is none."""
    bound = output_bound(model)
    return bound if math.isfinite(bound) else None


def _lipschitz_words(model: ImplicitModel) -> str:
    bound = _lipschitz(model)
    if bound is None:
        return "none: some phi has no constant, or ids are looked up"
    return (
        f"{words.ratio(bound)}: how far outputs move at most, for inputs that move by 1, both in the inf-norm"
    )


def _flat(place: str, values: Mapping[str, JSON]) -> dict[str, str]:
    """Provenance as names and texts: entry.entry -> value."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(f"{place}{key} ", value)
        else:
            flat[f"{place}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _document(path: Path, artifact: Artifact) -> dict[str, object]:
    model, certificate = artifact.model, artifact.certificate
    return {
        "file": str(path),
        "bytes": artifact.size,
        "inputs": [asdict(i) for i in model.inputs],
        "outputs": [{"name": o.name, "shape": o.shape} for o in model.outputs],
        "nonzeros": model.parameters,
        "stored": asdict(sizes(model)),
        "digest": artifact.digest,
        "tensors": [asdict(item) for item in listing(artifact)],
        "blocks": [{**asdict(b), "sparsity": b.sparsity} for b in stored_blocks(model)],
        "certificate": {"kind": certificate.kind, "bound": certificate.bound, "recomputed": True}
        | {"lipschitz": _lipschitz(model)},
        "provenance": artifact.provenance,
    }
