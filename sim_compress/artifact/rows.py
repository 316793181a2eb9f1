"""The rows of M that one block or output owns, from its metadata and arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sim_compress.artifact.chains import decode_maps
from sim_compress.artifact.fields import Field
from sim_compress.artifact.limits import MAX_ELEMENTS, chain_shapes, refusing, sane
from sim_compress.artifact.spec import Part
from sim_compress.artifact.store import Source, Store
from sim_compress.errors import ArtifactError
from sim_compress.model import Affine, LinearMap, Shape, Term

AFFINE_KEYS = ("name", "shape", "terms")
AFFINE_OPTIONS = ("row_axis", "bias")


@dataclass(frozen=True)
class Opened:
    """What every part of the decoding shares; sources stand in the order of their numbers.

    `maps` are those of whole numbers so far, by their JSON.
    """

    store: Store
    sources: dict[str, Source]
    maps: dict[str, LinearMap] = field(default_factory=dict)


def decode_shape(field: Field) -> Shape:
    """A per-sample shape within the limits."""
    shape = field.integers(1, MAX_ELEMENTS)
    with refusing(field.place):
        return sane(shape)


def decode_affine(entries: Mapping[str, Field], part: Part, opened: Opened) -> Affine:
    """Terms and bias of one block or output.

    Raises:
        ArtifactError: an entry or array is missing, or does not fit the shapes.
    """
    shape = decode_shape(entries["shape"])
    opened.store.allowance.arrays(entries["shape"].place, [shape])
    last = max(len(shape) - 1, 0)
    row_axis = entries["row_axis"].integer(0, last) if "row_axis" in entries else 0
    rows = Affine(shape, (), row_axis=row_axis).rows
    bias = opened.store.bias(part.bias, entries["bias"], rows) if "bias" in entries else None
    terms = (_term(item, i, rows, part, opened) for i, item in enumerate(entries["terms"].items()))
    return Affine(shape, tuple(terms), bias, row_axis)


def _term(item: Field, index: int, rows: int, part: Part, opened: Opened) -> Term:
    entries = item.entries(("source",), ("maps", "weight"))
    source = opened.store.source(entries["source"], opened.sources)
    maps = decode_maps(entries["maps"], opened.store, opened.maps) if "maps" in entries else ()
    with refusing(item.place):
        shapes = chain_shapes(maps, source.shape)
    # The first is the source's own, which is counted there.
    opened.store.allowance.arrays(item.place, shapes[1:])
    features = shapes[-1]
    if "weight" not in entries:
        return Term(source.name, maps)
    if not features:
        raise ArtifactError(f"{item.place}: expected features with an axis for the matrix, found a scalar")
    name = part.matrix(index, source.is_input)
    weight, groups = opened.store.matrix(name, entries["weight"], rows)
    return Term(source.name, maps, weight, groups)
