"""Rows without positions for few samples: rows in lanes, states broadcast."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Affine, Term, chain_shape
from sim_compress.runtime.compiled.code.operations import DenseRows
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Flat, Place
from sim_compress.runtime.compiled.program.blocks.copies import NOTHING, copy_chain, has_operations, selected
from sim_compress.runtime.compiled.program.blocks.phis import Parameters
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.streams import DenseStream, dense_stream, weight_of


def lower_dense(context: Context, name: str, affine: Affine, target: Flat, phi: Parameters) -> None:
    """z of a block without positions, phi included."""
    assembly, width = context.assembly, context.lanes.width
    places = [_features(context, term) for term in affine.terms]
    if len({place.step for place, _ in places}) > 1:
        places = _side_by_side(context, affine)
    # Steps of an unrolled network have the same rows.
    key = ("dense", *(affine.rows if t.weight is None else id(t.weight) for t in affine.terms))

    def stream_() -> DenseStream:
        weight = sparse.csr_array(sparse.hstack([weight_of(affine.rows, term) for term in affine.terms]))
        return dense_stream(weight, width)

    stream = assembly.constants.stream(key, stream_)
    sources = np.concatenate([elements for _, elements in places])
    offsets = assembly.integers(np.maximum(sources, 0)[stream.columns])
    values = assembly.constants.add((*key, "values"), stream.values)
    blocks = [
        (offsets + first, values + first * width, last - first)
        for first, last in zip(stream.starts, stream.starts[1:], strict=False)
    ]
    rows = len(blocks) * width
    bias = np.zeros(rows, np.float32)
    if affine.bias is not None:
        bias[: affine.rows] = affine.bias
    assembly.add(
        DenseRows(
            len(blocks),
            assembly.integers(np.array(blocks)),
            target.base,
            target.step,
            places[0][0].step,
            context.lanes.samples,
            assembly.constants.add((name, "bias"), bias),
            assembly.constants.add(phi, np.array(phi)),
        )
    )


def _features(context: Context, term: Term) -> tuple[Place, NDArray[np.int64]]:
    """Where the features of a term lie: read in place where the chain only selects."""
    if has_operations(term.maps, context.values[term.source]):
        source = context.inside(term.source)
        elements = selected(term.maps, source)
        # One entry of a scalar is a number, no array.
        if elements is not None and NOTHING not in np.ravel(elements):
            return source, np.ravel(elements)
    return _copied(context, term)


def _copied(context: Context, term: Term) -> tuple[Place, NDArray[np.int64]]:
    shape = chain_shape(term.maps, context.values[term.source].form.shape)
    place = context.flat_copy(context.values[term.source], Form(shape))
    copy_chain(context, term.maps, term.source, place)
    return place, place.elements.ravel()


def _side_by_side(context: Context, affine: Affine) -> list[tuple[Place, NDArray[np.int64]]]:
    """Copies of the features of all terms with the same distance between samples."""
    shapes = [chain_shape(term.maps, context.values[term.source].form.shape) for term in affine.terms]
    sizes = [int(np.prod(shape)) for shape in shapes]
    whole = context.kept_flat(Form((sum(sizes),)))
    places = [Flat(Form(shape), whole.base + sum(sizes[:i]), whole.step) for i, shape in enumerate(shapes)]
    for term, place in zip(affine.terms, places, strict=True):
        copy_chain(context, term.maps, term.source, place)
    return [(place, place.elements.ravel()) for place in places]
