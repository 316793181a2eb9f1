"""Implicit models of every kind, small: what a seed gives is valid but for numbers at the borders."""

import math
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.certificate import Certificate, certify
from sim_compress.errors import SimCompressError
from sim_compress.model import Affine, ImplicitModel, Input, Lookup, Output, Shape, StateBlock, Term
from tools.fuzz import numbers, random_maps, random_phis

DTYPES = ("float32", "float32", "float32", "float64", "float16", "int64", "uint8", "bool")
LOOPS = 0.4


@dataclass
class _Making:
    """A model in the making: what terms may read."""

    rng: Random
    shapes: dict[str, Shape] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)


def random_model(rng: Random) -> tuple[ImplicitModel, Certificate]:
    """A model and its certificate."""
    while True:
        try:
            model = _model(rng)
            with np.errstate(all="ignore"):
                return model, certify(model)
        except SimCompressError:
            # A loop that is too strong, or a number beyond a border.
            continue


def _model(rng: Random) -> ImplicitModel:
    making = _Making(rng)
    inputs = tuple(_input(making, f"u{i}") for i in range(rng.choice((1, 1, 2, 3))))
    blocks = [_block(making, f"x{i}") for i in range(rng.choice((0, 1, 2, 3, 4, 6)))]
    if blocks and rng.random() < LOOPS:
        blocks[0] = _looped(making, blocks[0], rng.choice(blocks[:2]))
    outputs = tuple(
        Output(f"y{i}", _affine(making, rng.choice(random_phis.SHAPES)))
        for i in range(rng.choice((1, 1, 2, 3)))
    )
    return ImplicitModel(inputs, tuple(blocks), outputs)


def _input(making: _Making, name: str) -> Input:
    dtype = making.rng.choice(DTYPES)
    making.shapes[name] = making.rng.choice(random_phis.SHAPES)
    if dtype == "int64":
        making.whole.add(name)
    return Input(name, making.shapes[name], dtype)


def _block(making: _Making, name: str) -> StateBlock:
    phi, z = random_phis.phi(making.rng)
    block = StateBlock(name, _affine(making, z), phi)
    making.shapes[name] = block.shape
    return block


def _looped(making: _Making, block: StateBlock, source: StateBlock) -> StateBlock:
    """The block with one more term, small, from a block that may come after it."""
    shape = block.affine.shape
    axis = block.affine.row_axis
    features = (block.affine.rows, *block.affine.positions)
    maps = random_maps.fitted(making.rng, making.shapes[source.name], features)
    drawn = _weight(making.rng, block.affine.rows, block.affine.rows, 1)
    weight = sparse.csr_array(drawn.toarray() * np.float32(0.02))
    term = Term(source.name, maps, weight)
    affine = replace(block.affine, terms=(*block.affine.terms, term), row_axis=axis, shape=shape)
    return replace(
        block, affine=affine, phi=making.rng.choice((block.phi, Activation("tanh"), Activation("relu")))
    )


def _affine(making: _Making, shape: Shape) -> Affine:
    rng = making.rng
    axis = rng.choice((0, 0, 0, max(len(shape) - 1, 0)))
    rows = Affine(shape, (), row_axis=axis).rows
    bias = numbers.spread(rng, (rows,)) if rng.random() < 0.6 else None
    terms = tuple(_term(making, shape, axis) for _ in range(rng.choice((1, 1, 2, 3))))
    return Affine(shape, terms, bias, axis)


def _term(making: _Making, shape: Shape, axis: int) -> Term:
    rng = making.rng
    source = rng.choice(list(making.shapes))
    maps, reached = _looked_up(making, source)
    if rng.random() < 0.3:
        return Term(source, (*maps, *random_maps.fitted(rng, reached, shape)))
    positions = (*shape[:axis], *shape[axis + 1 :])
    rows = shape[axis] if shape else 1
    # Features as they come where their positions fit, else those nearest in number.
    if reached and reached[1:] == positions:
        features = reached
    else:
        count = max(1, min(40, math.prod(reached) // max(1, math.prod(positions))))
        features = (count, *positions)
        maps = (*maps, *random_maps.fitted(rng, reached, features))
    groups = rng.choice([g for g in (1, 2, 3, 4) if rows % g == 0 and features[0] % g == 0])
    return Term(source, maps, _weight(rng, rows, features[0], groups), groups)


def _looked_up(making: _Making, source: str) -> tuple[tuple, Shape]:
    """A chain from a source; ids mostly find rows in a table first."""
    shape = making.shapes[source]
    if source in making.whole and making.rng.random() < 0.7:
        table = Lookup(numbers.spread(making.rng, (making.rng.choice((7, 30)), making.rng.choice((1, 4)))))
        maps, reached = random_maps.chain(making.rng, table.out_shape(shape))
        return (table, *maps), reached
    return random_maps.chain(making.rng, shape)


def _weight(rng: Random, rows: int, columns: int, groups: int) -> sparse.csr_array:
    """Rows with a pattern: free, whole rows, blocks of two in four, columns, or full."""
    dense = numbers.spread(rng, (rows, columns))
    draw = np.random.default_rng(rng.getrandbits(32))
    match rng.choice(("free", "free", "rows", "two of four", "columns", "full")):
        case "free":
            dense *= draw.random(dense.shape) < rng.choice((0.05, 0.3, 0.6))
        case "rows":
            dense *= draw.random((rows, 1)) < 0.5
        case "two of four":
            dense *= np.arange(columns) % 4 < 2
        case "columns":
            dense *= draw.random((1, columns)) < 0.5
    row_groups, column_groups = np.arange(rows) * groups // rows, np.arange(columns) * groups // columns
    return sparse.csr_array((dense * (row_groups[:, None] == column_groups)).astype(np.float32))
