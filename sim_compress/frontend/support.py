"""The page docs/operators.md, written from the registry."""

import sys
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from sim_compress.frontend.operators import OPERATORS

INTRODUCTION = """\
# Operators

Written from the registry by `sim_compress.frontend.support`, up to the table at the end, which
`tools/bench/real_files.py` prints; a test compares. To write it again:

    python -m sim_compress.frontend.support docs/operators.md

A network is loaded by `load_teacher(path)`. onnxruntime's basic optimisation first folds constants and batch
norms that follow a convolution. One pass then finds where the samples are in every tensor, computes shape
arithmetic, and writes the graph for one sample. Each node left over is one of

- a **parametric** node (Conv, Gemm, MatMul): tied rows of M. Where no nonlinear node follows directly, its
  output is a state block with phi = identity;
- a **fixed map** (reshape, slice, average pooling, ...): part of a term, without parameters;
- a **nonlinear** node: a state block.

The open axis of an input is the batch axis; where all are fixed, the first one, and the batch size is made
free where the result does not depend on it. The network may move the batch axis behind others, or merge it
with heads, windows or steps; the model has the samples first, in inputs and outputs too. A network that mixes
samples, or whose values depend on their number, is refused, or where all axes are fixed read as one sample a
run. Recurrent operators, and the rounds of a Loop or a Scan, are written out step by step, where shapes and
constants say how many there are; all steps share their rows. The way of an If takes its place. Functions
spelled out in many nodes (GELU, SiLU, Mish, hard-swish, softmax, layer and RMS normalisation) are recognised
by what they compute and become one block. Inputs hold numbers or truth values of any type, weights floats of
any precision; states are float32. Other open sizes are fixed with `--input-shape`. Operator sets 7 and later.
A network with any other node is refused by one error that lists every such node and why; where such nodes are
the end of it and hold no parameters, the network is cut before them, which a note says.

Before anything of a file is allocated or run its functions are counted, the sizes of all tensors follow from
its shapes, and constants that decide a shape are evaluated, small ones alone. A tensor of more than 256 MiB a
sample, constants of more than 256 MiB and 8 times the file, functions of more than 20,000 nodes, weights
outside of the file's folder, and nodes that act as in training (Dropout, BatchNormalization, random numbers)
are refused, each by its name.
"""

ADDING = """\
[adding_an_operator.md](adding_an_operator.md) adds one from start to end.
"""

# What follows is measured.
MEASURED = "## Networks from packages\n"


def page() -> str:
    """The whole page: what a network may hold, by family, and where to read how to add an operator."""
    rows = sorted(OPERATORS.values(), key=attrgetter("family", "name"))
    tables = []
    for family, members in groupby(rows, attrgetter("family")):
        lines = [f"| {o.name} | {o.becomes} | {o.limits} |" for o in members]
        header = [f"## {family.capitalize()}", "", "| ONNX | becomes | limits |", "|---|---|---|"]
        tables.append("\n".join([*header, *lines, ""]))
    return "\n".join([INTRODUCTION, *tables, ADDING])


def main() -> None:
    """Write the page anew, and keep what was measured."""
    path = Path(sys.argv[1])
    _, heading, measured = path.read_text().partition(MEASURED)
    path.write_text("\n".join([page(), heading + measured]))


if __name__ == "__main__":
    main()
