"""The page docs/operators.md, written from the registry."""

from itertools import groupby
from operator import attrgetter

from sim_compress.frontend.operators import OPERATORS

INTRODUCTION = """\
# Operators

Written from the registry by `sim_compress.frontend.support.page`; a test compares. To write it again:

    python -c "from sim_compress.frontend.support import page; print(page(), end='')" > docs/operators.md

A network is loaded by `load_teacher(path)`. onnxruntime's basic optimisation first folds constants, shape
arithmetic and batch norms that follow a convolution. Each node left over is then one of

- a **parametric** node (Conv, Gemm, MatMul): tied rows of M. Where no nonlinear node follows directly, its
  output is a state block with phi = identity;
- a **fixed map** (reshape, slice, average pooling, ...): part of a term, without parameters;
- a **nonlinear** node: a state block.

The first axis of every activation is the batch. A batch size that the file fixes is made free where the
result does not depend on it. Stretches of a graph that move the batch behind other axes, or merge it
with steps, and bring it back are written anew with the batch first. Functions spelled out in many nodes
(GELU, SiLU, Mish, hard-swish, softmax, layer and RMS normalisation) are recognised by what they compute
and become one block. Inputs hold numbers or truth values of any type, weights floats of any precision;
states are float32. Sizes left open behind the batch are fixed with `--input-shape`. Operator sets 7 and
later. A network with any other node is refused by one error that lists every such node and why.

Before anything of a file is allocated or run its functions are counted, the sizes of all tensors follow from
its shapes, and constants that decide a shape are evaluated, small ones alone. A tensor of more than 256 MiB a
sample, constants of more than 256 MiB and 8 times the file, functions of more than 20,000 nodes, weights
outside of the file's folder, and nodes that act as in training (Dropout, BatchNormalization, random numbers)
are refused, each by its name.
"""

ADDING = """\
[adding_an_operator.md](adding_an_operator.md) adds one from start to end.
"""


def page() -> str:
    """The whole page: what a network may hold, by family, and where to read how to add an operator."""
    rows = sorted(OPERATORS.values(), key=attrgetter("family", "name"))
    tables = []
    for family, members in groupby(rows, attrgetter("family")):
        lines = [f"| {o.name} | {o.becomes} | {o.limits} |" for o in members]
        header = [f"## {family.capitalize()}", "", "| ONNX | becomes | limits |", "|---|---|---|"]
        tables.append("\n".join([*header, *lines, ""]))
    return "\n".join([INTRODUCTION, *tables, ADDING])
