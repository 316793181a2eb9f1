"""sim-compress export FILE: an artifact as a plain ONNX graph, or as plain sparse matrices."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from sim_compress.artifact import Artifact, Plain, csr_file, read, replace_files, tied, unrolled, write_npz
from sim_compress.cli import words
from sim_compress.cli.console import OUT, note, plain
from sim_compress.cli.output import check_target, output_path
from sim_compress.errors import InputError
from sim_compress.export import exported, files_of, source_of

SUFFIXES = {"onnx": ".sim.onnx", "csr": ".csr.safetensors", "npz": ".npz"}
UNROLLED_MEMORY = 2**30


def run(arguments: argparse.Namespace) -> int:
    """Read the artifact, write it in another form and say what it is."""
    _check(arguments)
    target = output_path(arguments.output, arguments.file, SUFFIXES[arguments.format])
    if arguments.format != "npz":
        check_target(target, [arguments.file])
    artifact = read(arguments.file)
    size = WRITERS[arguments.format](artifact, target, arguments)
    if arguments.json:
        figures = {
            "file": str(arguments.file),
            "written": str(target),
            "bytes": size,
            "nonzeros": artifact.model.nnz,
        }
        plain(json.dumps(figures, indent=2) + "\n")
        return 0
    if arguments.format == "onnx":
        note(
            "weights are dense tensors with their zeros kept, as fast and as large as the network's own; "
            f"the small file is {arguments.file}"
        )
    OUT.print(f"written: {target}, {words.size(size)}", soft_wrap=True)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """InputError where an option has no meaning beside the others."""
    if arguments.unrolled and arguments.format == "onnx":
        raise InputError("--unrolled is for plain matrices: add  --format csr  or  --format npz")
    if arguments.opset is not None and arguments.format != "onnx":
        raise InputError(f"--opset is for a graph, not for --format {arguments.format}")
    if arguments.memory is not None and not arguments.unrolled:
        raise InputError("--memory limits --unrolled, which was not asked for")


def _onnx(artifact: Artifact, target: Path, arguments: argparse.Namespace) -> int:
    source = source_of(artifact.provenance, arguments.opset)
    files = files_of(exported(artifact.model, source), target.name)
    replace_files({target.with_name(name): data for name, data in files.items()})
    return sum(target.with_name(name).stat().st_size for name in files)


def _csr(artifact: Artifact, target: Path, arguments: argparse.Namespace) -> int:
    data = csr_file(_plain(artifact, arguments))
    replace_files({target: data})
    return len(data)


def _npz(artifact: Artifact, target: Path, arguments: argparse.Namespace) -> int:
    return write_npz(target, _plain(artifact, arguments))


def _plain(artifact: Artifact, arguments: argparse.Namespace) -> Plain:
    return unrolled(artifact, arguments.memory or UNROLLED_MEMORY) if arguments.unrolled else tied(artifact)


# One for every choice of --format: writes the target and gives its bytes.
WRITERS: dict[str, Callable[[Artifact, Path, argparse.Namespace], int]] = {
    "onnx": _onnx,
    "csr": _csr,
    "npz": _npz,
}
