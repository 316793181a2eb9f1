"""Results made of records, one or more for each block, as arrays by name and back."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.compression.resume.kept import Kept
from sim_compress.model import Affine, weight_shape

Record = TypeVar("Record")
Mask = NDArray[np.bool_]


def joined(*parts: Kept) -> Kept:
    """Several in one; their names differ."""
    arrays = {name: a for part in parts for name, a in part.arrays.items()}
    return Kept(arrays, {name: v for part in parts for name, v in part.fields.items()})


def write_records(section: str, records: Mapping[str, Sequence[Any]]) -> Kept:
    """Dataclasses of arrays and numbers by block, in order."""
    arrays: dict[str, NDArray[Any]] = {}
    numbers: dict[str, list[dict[str, Any]]] = {}
    for place, (name, own) in enumerate(records.items()):
        numbers[name] = []
        for group, record in enumerate(own):
            values = {f.name: getattr(record, f.name) for f in fields(record)}
            whole = {n: v for n, v in values.items() if isinstance(v, np.ndarray)}
            arrays |= {f"{section}.{place}.{group}.{n}": v for n, v in whole.items()}
            numbers[name].append({n: v for n, v in values.items() if n not in whole})
    return Kept(arrays, {section: [[name, own] for name, own in numbers.items()]})


def read_records(section: str, kind: type[Record], kept: Kept) -> dict[str, tuple[Record, ...]]:
    """What `write_records` wrote."""
    found: dict[str, tuple[Record, ...]] = {}
    for place, (name, own) in enumerate(kept.fields[section]):
        records = []
        for group, numbers in enumerate(own):
            prefix = f"{section}.{place}.{group}."
            arrays = {n.removeprefix(prefix): a for n, a in kept.arrays.items() if n.startswith(prefix)}
            records.append(kind(**arrays, **numbers))
        found[name] = tuple(records)
    return found


def packed(mask: Mask) -> NDArray[np.uint8]:
    """A mask (rows, features) as bits along its features."""
    return np.packbits(mask, axis=1)


def unpacked(bits: NDArray[np.uint8], features: int) -> Mask:
    """The mask again."""
    return np.unpackbits(bits, axis=1, count=features).astype(bool)


def write_affines(section: str, affines: Mapping[str, Affine]) -> Kept:
    """Weights and biases of blocks."""
    arrays: dict[str, NDArray[Any]] = {}
    for place, affine in enumerate(affines.values()):
        for term, weight in enumerate(affine.weights):
            own = {"data": weight.data, "indices": weight.indices, "indptr": weight.indptr}
            arrays |= {f"{section}.{place}.{term}.{n}": a for n, a in own.items()}
        if affine.bias is not None:
            arrays[f"{section}.{place}.bias"] = affine.bias
    return Kept(arrays, {section: list(affines)})


def read_affines(section: str, kept: Kept, like: Mapping[str, Affine]) -> dict[str, Affine]:
    """The blocks again; `like` has their terms."""
    found: dict[str, Affine] = {}
    for place, name in enumerate(kept.fields[section]):
        affine = like[name]
        fresh = iter(
            sparse.csr_array(
                tuple(kept.arrays[f"{section}.{place}.{term}.{n}"] for n in ("data", "indices", "indptr")),
                shape=weight_shape(weight),
            )
            for term, weight in enumerate(affine.weights)
        )
        terms = tuple(t if t.weight is None else replace(t, weight=next(fresh)) for t in affine.terms)
        found[name] = replace(affine, terms=terms, bias=kept.arrays.get(f"{section}.{place}.bias"))
    return found
