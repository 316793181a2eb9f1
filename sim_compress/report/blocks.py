"""Figures of every block and output, from the models before and after compression."""

from math import prod

from sim_compress.model import Affine, ImplicitModel, chain_shape
from sim_compress.report.figures import BlockFigures

OUTPUT = "output"


def compressed_blocks(teacher: ImplicitModel, model: ImplicitModel) -> tuple[BlockFigures, ...]:
    """Blocks in model order, then outputs; parameters are the teacher's nonzeros."""
    before = {name: _parameters(teacher, name, affine) for name, affine in teacher.affines()}
    return _blocks(model, [before[name] for name, _ in model.affines()])


def stored_blocks(model: ImplicitModel) -> tuple[BlockFigures, ...]:
    """The same without a teacher: parameters are the entries that the rows may use, and the biases."""
    return _blocks(model, [_entries(model, name, affine) for name, affine in model.affines()])


def _blocks(model: ImplicitModel, parameters: list[int]) -> tuple[BlockFigures, ...]:
    phis = [b.phi.name for b in model.blocks] + [OUTPUT] * len(model.outputs)
    shapes = [b.shape for b in model.blocks] + [o.shape for o in model.outputs]
    return tuple(
        BlockFigures(
            name,
            phi,
            shape,
            _regressed(model, name, affine),
            _features(model, affine),
            count,
            _parameters(model, name, affine),
            None if model.owns(name) else model.owners[name],
        )
        for (name, affine), phi, shape, count in zip(model.affines(), phis, shapes, parameters, strict=True)
    )


def _parameters(model: ImplicitModel, name: str, affine: Affine) -> int:
    """Nonzeros of the rows that a block owns, and of the tables they look ids up in."""
    own = affine.nnz if model.owns(name) else 0
    return own + sum(m.nonzeros for m in model.own_tables(affine))


def _regressed(model: ImplicitModel, name: str, affine: Affine) -> int:
    return affine.rows if affine.weighted and model.owns(name) else 0


def _features(model: ImplicitModel, affine: Affine) -> int:
    return sum(chain_shape(t.maps, model.shapes[t.source])[0] // t.groups for t in affine.weighted)


def _entries(model: ImplicitModel, name: str, affine: Affine) -> int:
    biases = 0 if affine.bias is None or not model.owns(name) else len(affine.bias)
    tables = sum(prod(m.shape) for m in model.own_tables(affine))
    return _regressed(model, name, affine) * _features(model, affine) + biases + tables
