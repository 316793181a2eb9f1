"""Blocks in order, each on the states that the blocks before it really give."""

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from types import MappingProxyType

from sim_compress.core.engines import Engine
from sim_compress.model import (
    Affine,
    ImplicitModel,
    every_use,
    fresh_tables,
    replaced,
    with_rows_of,
    with_tables,
)
from sim_compress.model.maps import Array
from sim_compress.runtime import schedule
from sim_compress.states.baseline import Grams, Progress
from sim_compress.states.live_cuts import LiveCuts, Visit
from sim_compress.states.teachers import Teacher


def regenerate(
    teacher: Teacher,
    inputs: Mapping[str, Array],
    compress: Callable[[Visit], Affine],
    engine: Engine,
    progress: Progress,
    names: Container[str] | None = None,
    behind: Mapping[str, Grams] = MappingProxyType({}),
    ahead: Mapping[str, Grams] = MappingProxyType({}),
    known: Mapping[str, Affine] = MappingProxyType({}),
) -> ImplicitModel:
    """Compress every block in order; each sees the states that the blocks before it really give.

    Blocks of a loop see each other's baseline states, and the states of their compressed equilibrium are
    what later blocks see. Rows that ids are looked up in come before all blocks.

    Args:
        teacher: the network.
        inputs: input name -> (samples, ...).
        compress: gives a block's new rows.
        engine: computes batches side by side, and keeps the live cut: the teacher's states and the
            regenerated ones.
        progress: called with the finished part in [0, 1].
        names: the blocks and outputs that get new rows, and give them to those that share them; all if not
            given. The others keep theirs.
        behind: owner of rows that are shared -> Grams of their later uses on the teacher's own states.
        ahead: owner of rows that ids are looked up in -> Grams of all their uses on the teacher's own states.
        known: new rows of some of these blocks that are there already.

    Returns:
        The model made of the new rows.
    """
    model = teacher.model
    if names is None:
        names = {name for name, _ in model.affines() if model.owns(name)}
    stages = schedule(model)
    total = len(stages) + len(model.outputs)
    own = dict(model.affines())
    rows = dict(known)
    for name, grams in ahead.items():
        if name in names and name not in known:
            rows[name] = compress(Visit(name, own[name], grams))
    tables = fresh_tables(model, rows)
    read = {name: with_tables(affine, tables) for name, affine in own.items()}
    rows = {name: with_tables(affine, tables) for name, affine in rows.items()}
    left = {name for name in own if name in names and name not in rows}
    with LiveCuts(teacher, inputs, engine, behind) as cuts:
        for number, stage in enumerate(stages):
            rows |= {
                v.name: compress(v) for v in cuts.visit({b.name: read[b.name] for b in stage.blocks}, left)
            }
            fresh = tuple(replace(b, affine=_fresh(model, rows, b.name, read[b.name])) for b in stage.blocks)
            cuts.advance(replace(stage, blocks=fresh))
            progress((number + 1) / total)
        for number, output in enumerate(model.outputs):
            rows |= {v.name: compress(v) for v in cuts.visit({output.name: read[output.name]}, left)}
            progress((len(stages) + number + 1) / total)
    return replaced(model, every_use(model, rows))


def _fresh(model: ImplicitModel, rows: Mapping[str, Affine], name: str, affine: Affine) -> Affine:
    """The new rows of a block where it or the owner of its rows has them already, else its own."""
    owner = model.owners.get(name, name)
    if owner not in rows:
        return affine
    return rows[owner] if owner == name else with_rows_of(affine, rows[owner])
