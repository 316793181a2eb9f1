"""Which blocks are compressed, and how far: patterns on names, as pruning tools have them.

A pattern is a regular expression that must match a whole name: that of a block or output, or that of a
node or module of the network whose parameters the block holds. Rows that are shared go by the names of all
their uses, of lookups in them too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sim_compress.compression.settings import Settings
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel

# Stands for the pattern of the blocks that have no target of their own.
REST = ""


@dataclass(frozen=True)
class Part:
    """Blocks and outputs that share one target.

    Attributes:
        pattern: of `Settings.targets`, or REST.
        target: sparsity of these blocks together.
        names: in the order of the model; of rows that are shared their owner, but for full support.
    """

    pattern: str
    target: float
    names: tuple[str, ...]


def parts(model: ImplicitModel, nodes: Mapping[str, tuple[str, ...]], settings: Settings) -> tuple[Part, ...]:
    """The blocks to compress, by target; blocks in no part keep the teacher's rows.

    Args:
        model: the teacher's.
        nodes: block or output name -> further names it goes by.
        settings: ignore, only and targets; of several targets that match a block the last one counts.

    Raises:
        InputError: a pattern matches no block that could be compressed, no block is left, or all that is
            left is zero.
    """
    if not model.nnz:
        what = (
            "all its weights are zero" if any(a.weighted for _, a in model.affines()) else "it has no weights"
        )
        raise InputError(
            f"nothing to compress in this network: {what}; was it exported before it was trained?"
        )
    apart = not settings.design.shares_rows
    known = {
        name: tuple(n for use in _uses(model, name, apart) for n in (use, *nodes.get(use, ())))
        for name, affine in model.affines()
        if (apart or model.owns(name)) and (affine.weighted or affine.bias is not None)
    }
    ignored = {n for p in settings.ignore for n in _matching(p, known)}
    wanted = {n for p in settings.only for n in _matching(p, known)} if settings.only else set(known)
    if not wanted - ignored:
        raise InputError("no block is left to compress: ignore fewer of " + _listed(known))
    owner = dict.fromkeys((n for n in known if n in wanted - ignored), REST)
    for pattern in settings.targets:
        owner |= dict.fromkeys(_matching(pattern, {n: known[n] for n in owner}), pattern)
    targets = {REST: settings.target_sparsity, **settings.targets}
    found = (
        Part(pattern, target, tuple(n for n, p in owner.items() if p == pattern))
        for pattern, target in targets.items()
    )
    asked = tuple(p for p in found if p.names)
    sizes = {name: affine.nnz for name, affine in model.affines()}
    if empty := next((p for p in asked if not any(sizes[n] for n in p.names)), None):
        raise InputError(
            f"nothing to compress: all weights of {', '.join(empty.names)} are zero; leave them out"
        )
    return asked


def _uses(model: ImplicitModel, owner: str, apart: bool) -> tuple[str, ...]:
    """All that share some rows, then all that look ids up in them; the owner where rows are solved apart."""
    if apart:
        return (owner,)
    return tuple(dict.fromkeys((*model.uses(owner), *model.readers.get(owner, ()))))


def _matching(pattern: str, known: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Blocks of which the pattern matches a name; InputError where there are none."""
    expression = re.compile(pattern)
    found = [name for name, names in known.items() if any(map(expression.fullmatch, names))]
    if not found:
        raise InputError(f"the pattern {pattern!r} matches the whole name of no block among {_listed(known)}")
    return found


def _listed(known: Mapping[str, tuple[str, ...]]) -> str:
    return ", ".join(dict.fromkeys(name for names in known.values() for name in names))
