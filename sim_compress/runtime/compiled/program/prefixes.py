"""Computed beginnings of chains that all readers of a value share become a block: they are computed once.

tokens + positions, read by queries, keys, values and the skip connection
"""

from dataclasses import replace

from sim_compress.activations import Activation
from sim_compress.model import Affine, ImplicitModel, LinearMap, Offset, Scale, StateBlock, Term, chain_shape

Maps = tuple[LinearMap, ...]


def with_shared_prefixes(model: ImplicitModel) -> ImplicitModel:
    """The model with a block for each beginning that ends in a constant of several axes.

    Other constants need none: they go into weights and biases.
    """
    readers: dict[str, list[Maps]] = {block.name: [] for block in model.blocks}
    for _, affine in model.affines():
        for term in affine.terms:
            if term.source in readers:
                readers[term.source].append(term.maps)
    prefixes = {name: _prefix(maps) for name, maps in readers.items() if len(maps) > 1}
    prefixes = {name: maps for name, maps in prefixes.items() if maps}
    if not prefixes:
        return model
    names = {name: f"{name} with constants" for name in prefixes}

    def moved(affine: Affine) -> Affine:
        return replace(affine, terms=tuple(map(shortened, affine.terms)))

    def shortened(term: Term) -> Term:
        maps = prefixes.get(term.source)
        if maps is None:
            return term
        return replace(term, source=names[term.source], maps=term.maps[len(maps) :])

    blocks = []
    for block in model.blocks:
        blocks.append(replace(block, affine=moved(block.affine)))
        if block.name in prefixes:
            maps = prefixes[block.name]
            affine = Affine(chain_shape(maps, block.shape), (Term(block.name, maps),))
            blocks.append(StateBlock(names[block.name], affine, Activation("identity")))
    outputs = tuple(replace(o, affine=moved(o.affine)) for o in model.outputs)
    return replace(model, blocks=tuple(blocks), outputs=outputs)


def _prefix(chains: list[Maps]) -> Maps:
    """The longest beginning that all chains have and that ends in a constant of several axes."""
    shared = 0
    for steps in zip(*chains, strict=False):
        if any(step is not steps[0] and step != steps[0] for step in steps):
            break
        shared += 1
    ends = [i + 1 for i, step in enumerate(chains[0][:shared]) if _varies(step)]
    return chains[0][: max(ends, default=0)]


def _varies(step: LinearMap) -> bool:
    """Whether a map is a constant that differs along several axes."""
    if not isinstance(step, Scale | Offset):
        return False
    constant = step.offset if isinstance(step, Offset) else step.factor
    return sum(size > 1 for size in constant.shape) > 1
