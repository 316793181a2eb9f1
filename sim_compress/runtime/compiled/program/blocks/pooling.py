"""Max pooling: by vectors where windows lie in the lanes of what they give, else entry by entry."""

import numpy as np
from numpy.typing import NDArray

from sim_compress.activations import Activation
from sim_compress.model import ImplicitModel, StateBlock, selects
from sim_compress.runtime.compiled.code.operations import CHUNK, Maximum, Pooled
from sim_compress.runtime.compiled.code.pooling_code import SHARE
from sim_compress.runtime.compiled.layout.borders import fits
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Place, Tiled
from sim_compress.runtime.compiled.layout.tiles import inside_lanes, positions_read
from sim_compress.runtime.compiled.layout.windows import pool_windows
from sim_compress.runtime.compiled.program.context import Context

# Phi that give nothing below 0: beside them the zeros around an image are as good as nothing.
NEVER_BELOW_ZERO = ("relu", "sigmoid", "hard_sigmoid", "softplus", "exp", "abs", "square", "softmax")
# Channels, rows and columns.
LARGEST_RANK = 3


def pools_in_lanes(context: Context, model: ImplicitModel, block: StateBlock, z: Form, x: Form) -> bool:
    """Whether windows lie in the lanes of what they give, with nothing around an image that is larger."""
    if block.phi.name != "max_pool" or len(x.shape) > LARGEST_RANK or context.is_flat(x):
        return False
    geometries = context.borders.geometries
    if not fits(pool_windows(block.phi), geometries[z.size], geometries[x.size]):
        return False
    return stays_inside(block) or _none_below_zero(model, block)


def lower_pool(context: Context, block: StateBlock, z: Tiled, form: Form) -> Tiled:
    """The place of a max pooling of a value whose halo is filled."""
    windows, geometry = pool_windows(block.phi), context.borders.geometries[form.size]
    x = context.place(form)
    assert isinstance(x, Tiled), "what has positions lies in vectors"
    width, assembly = context.lanes.width, context.assembly
    shift = (z.geometry.vector(windows.row, windows.column) - z.geometry.first) * width
    reads = (positions_read(z.geometry, geometry, windows.strides) + z.geometry.first) * width
    writes = (positions_read(geometry, geometry, (1, 1)) + geometry.first) * width
    assembly.add(
        Pooled(
            -(-form.channels // SHARE),
            form.channels,
            z.base * width,
            z.geometry.plane * width,
            x.base * width,
            geometry.plane * width,
            len(writes),
            assembly.integers(reads),
            assembly.integers(writes),
            assembly.masks(inside_lanes(geometry), ("inside", geometry)),
            len(shift),
            assembly.integers(shift),
        )
    )
    return x


def read_as_it_is(block: StateBlock) -> str | None:
    """The one value that a block takes without rows, bias or maps; None for any other sums."""
    affine = block.affine
    if affine.bias is not None or affine.weighted or len(affine.terms) != 1 or affine.terms[0].maps:
        return None
    return affine.terms[0].source


def stays_inside(block: StateBlock) -> bool:
    """Whether no window of a pooling reads beside its image."""
    return not any((*block.phi.attributes["pads_begin"], *block.phi.attributes["pads_end"]))


def _none_below_zero(model: ImplicitModel, block: StateBlock) -> bool:
    """Whether no entry of a block's z is below 0."""
    if block.affine.weighted or block.affine.bias is not None:
        return False
    blocks = {b.name: b for b in model.blocks}
    return all(
        all(map(selects, term.maps)) and term.source in blocks and _never_below(model, blocks[term.source])
        for term in block.affine.terms
    )


def _never_below(model: ImplicitModel, block: StateBlock) -> bool:
    """Whether no entry of a state is below 0."""
    if block.phi.name in ("max_pool", "identity"):
        return _none_below_zero(model, block)
    low = block.phi.attributes.get("low", -1.0) if block.phi.name == "clip" else -1.0
    return block.phi.name in NEVER_BELOW_ZERO or low >= 0


def lower_maximum(context: Context, phi: Activation, z: Place, x: Place) -> None:
    """Max pooling entry by entry."""
    windows = _pool_windows(z.elements, phi).reshape(x.elements.size, -1)
    assembly = context.assembly
    assembly.add(
        Maximum(
            -(-len(windows) // CHUNK),
            assembly.integers(x.elements),
            assembly.integers(windows),
            windows.shape[1],
            len(windows),
            x.step,
            z.step,
            context.lanes.samples,
        )
    )


def _pool_windows(elements: NDArray[np.int64], phi: Activation) -> NDArray[np.int64]:
    """Elements under each window of a max pooling, (channels, *out, *kernel); -1 outside the image."""
    a = phi.attributes
    pads = [(0, 0), *zip(a["pads_begin"], a["pads_end"], strict=True)]
    padded = np.pad(elements, pads, constant_values=-1)
    spans = [(k - 1) * d + 1 for k, d in zip(a["kernel"], a["dilations"], strict=True)]
    views = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=tuple(range(1, elements.ndim)))
    strides = (slice(None), *(slice(None, None, s) for s in a["strides"]))
    return views[(*strides, *(slice(None, None, d) for d in a["dilations"]))]
