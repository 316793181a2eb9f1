"""sim-compress export FILE -o sparse.onnx: an artifact as a plain ONNX graph."""

import argparse
import json

from sim_compress.artifact import read, replace_files
from sim_compress.cli import words
from sim_compress.cli.console import OUT, note, plain
from sim_compress.cli.output import check_target, output_path
from sim_compress.export import to_onnx

SUFFIX = ".sim.onnx"


def run(arguments: argparse.Namespace) -> int:
    """Read the artifact, write the graph and say what it is."""
    target = output_path(arguments.output, arguments.file, SUFFIX)
    check_target(target, [arguments.file])
    artifact = read(arguments.file)
    data = to_onnx(artifact.model).SerializeToString()
    replace_files({target: data})
    if arguments.json:
        figures = {
            "file": str(arguments.file),
            "written": str(target),
            "bytes": len(data),
            "nonzeros": artifact.model.nnz,
        }
        plain(json.dumps(figures, indent=2) + "\n")
        return 0
    note(
        "weights are dense tensors with their zeros kept, as fast and as large as the network's own; "
        f"the small file is {arguments.file}"
    )
    OUT.print(f"written: {target}, {words.size(len(data))}", soft_wrap=True)
    return 0
