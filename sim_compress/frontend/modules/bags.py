"""nn.EmbeddingBag while a module is exported: lookups and a reduction; torch's exporter writes a loop."""

import inspect
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sim_compress.errors import UnsupportedError

BAGS = inspect.signature(functional.embedding_bag)


class PlainBags(TorchFunctionMode):
    """Computes every embedding bag as a mean, sum or maximum over the lookups of its ids."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not functional.embedding_bag:
            return func(*args, **kwargs)
        bound = BAGS.bind(*args, **kwargs)
        bound.apply_defaults()
        return _bag(bound.arguments)


def _bag(given: dict[str, Any]) -> Tensor:
    """One vector a bag, (samples, features); of a bag with nothing but padding zeros, as torch has it.

    Raises:
        UnsupportedError: bags with offsets, whose samples share an axis, or weights that a call changes.
    """
    ids, table, padding = given["input"], given["weight"], given["padding_idx"]
    if given["offsets"] is not None or ids.ndim != 2:
        raise UnsupportedError(
            "EmbeddingBag with offsets joins the ids of all samples on one axis: give it bags of one size, "
            "ids of shape (samples, ids), filled up with padding_idx"
        )
    if given["max_norm"] is not None:
        raise UnsupportedError(
            "EmbeddingBag with max_norm changes its weight when it is called: scale the rows of the weight "
            "and set max_norm to None"
        )
    vectors = functional.embedding(ids, table)
    if given["per_sample_weights"] is not None:
        vectors = vectors * given["per_sample_weights"].unsqueeze(-1)
    if padding is None:
        return {"sum": vectors.sum, "mean": vectors.mean, "max": vectors.amax}[given["mode"]](1)
    return _without_padding(vectors, ids, padding % len(table), len(table), given["mode"])


def _without_padding(vectors: Tensor, ids: Tensor, padding: int, rows: int, mode: str) -> Tensor:
    counts = vectors.new_ones(rows, 1)
    counts[padding] = 0
    # (samples, ids, 1): 1 where an id counts.
    kept = functional.embedding(ids, counts)
    if mode == "max":
        # Far below every weight, and finite: what is multiplied by 0 must not be infinite.
        lowest = (1 - kept) * -1e30
        return (vectors * kept + lowest).amax(1) * kept.amax(1)
    total = (vectors * kept).sum(1)
    return total / kept.sum(1).clamp(min=1) if mode == "mean" else total
