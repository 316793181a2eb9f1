"""nn.EmbeddingBag while a module is exported: lookups and a reduction; torch's exporter writes a loop."""

import inspect
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sim_compress.errors import UnsupportedError

BAGS = inspect.signature(functional.embedding_bag)
# What a torch.export.ExportedProgram has in its place, its modes by number, and what applies a max_norm.
AS_NODE = torch.ops.aten.embedding_bag.padding_idx
MODES = ("sum", "mean", "max")
RENORM = torch.ops.aten.embedding_renorm_.default
OFFSETS = (
    "EmbeddingBag with offsets joins the ids of all samples on one axis: give it bags of one size, "
    "ids of shape (samples, ids), filled up with padding_idx"
)
MAX_NORM = (
    "EmbeddingBag with max_norm changes its weight when it is called: scale the rows of the weight "
    "and set max_norm to None"
)


class PlainBags(TorchFunctionMode):
    """Computes every embedding bag as a mean, sum or maximum over the lookups of its ids."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not functional.embedding_bag:
            return func(*args, **kwargs)
        bound = BAGS.bind(*args, **kwargs)
        bound.apply_defaults()
        return _bag(bound.arguments)


def with_plain_bags(program: Any) -> Any:
    """An ExportedProgram whose embedding bags are lookups and a reduction; itself where it has none.

    Raises:
        UnsupportedError: bags with offsets or max_norm.
    """
    bags = [n for n in program.graph.nodes if n.target is AS_NODE]
    if not bags:
        return program
    if any(n.target is RENORM for n in program.graph.nodes):
        raise UnsupportedError(MAX_NORM)
    if not all(_of_one_size(*n.args[1:3]) for n in bags):
        raise UnsupportedError(OFFSETS)
    return program.run_decompositions({AS_NODE: _node_bag})


def _of_one_size(ids: Any, offsets: Any) -> bool:
    """Whether a bag's ids are those of a matrix (samples, ids), one row after the other."""
    matrix = ids.args[0] if ids.target is torch.ops.aten.reshape.default else None
    shape = () if matrix is None else tuple(matrix.meta["val"].shape)
    begins = offsets.target is torch.ops.aten.arange.start_step and offsets.args[::2] == (0, *shape[1:])
    return len(shape) == 2 and begins


def _node_bag(
    weight: Tensor,
    ids: Tensor,
    offsets: Tensor,
    _scaled: bool = False,
    mode: int = 0,
    _sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    _last: bool = False,
    padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What AS_NODE gives for bags of one size; nobody reads the last three."""
    matrix = ids.reshape(offsets.shape[0], -1)
    each = None if per_sample_weights is None else per_sample_weights.reshape(matrix.shape)
    given = {"input": matrix, "weight": weight, "offsets": None, "max_norm": None, "mode": MODES[mode]}
    found = _bag({**given, "per_sample_weights": each, "padding_idx": padding_idx})
    return found, offsets, offsets, offsets


def _bag(given: dict[str, Any]) -> Tensor:
    """One vector a bag, (samples, features); of a bag with nothing but padding zeros, as torch has it.

    Raises:
        UnsupportedError: bags with offsets, whose samples share an axis, or weights that a call changes.
    """
    ids, table, padding = given["input"], given["weight"], given["padding_idx"]
    if given["offsets"] is not None or ids.ndim != 2:
        raise UnsupportedError(OFFSETS)
    if given["max_norm"] is not None:
        raise UnsupportedError(MAX_NORM)
    vectors = functional.embedding(ids, table)
    if given["per_sample_weights"] is not None:
        vectors = vectors * given["per_sample_weights"].unsqueeze(-1)
    if padding is None:
        return {"sum": vectors.sum, "mean": vectors.mean, "max": vectors.amax}[given["mode"]](1)
    return _without_padding(vectors, ids, padding % len(table), len(table), given["mode"])


def _without_padding(vectors: Tensor, ids: Tensor, padding: int, rows: int, mode: str) -> Tensor:
    # Made of nothing but numbers: an ExportedProgram takes no new constants.
    counts = (torch.arange(rows, device=vectors.device) != padding).to(vectors.dtype).unsqueeze(-1)
    # (samples, ids, 1): 1 where an id counts.
    kept = functional.embedding(ids, counts)
    if mode == "max":
        # Far below every weight, and finite: what is multiplied by 0 must not be infinite.
        lowest = (1 - kept) * -1e30
        return (vectors * kept + lowest).amax(1) * kept.amax(1)
    total = (vectors * kept).sum(1)
    return total / kept.sum(1).clamp(min=1) if mode == "mean" else total
