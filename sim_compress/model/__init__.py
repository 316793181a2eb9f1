"""The state model: how any network is a list of tied rows of A, B, C, D."""

from sim_compress.model.channel_axes import channel_axes
from sim_compress.model.implicit import Affine, ImplicitModel, Input, Output, StateBlock, Term, weight_shape
from sim_compress.model.maps import (
    MAPS,
    AlongAxis,
    LinearMap,
    Lookup,
    Offset,
    Pad,
    Patches,
    Reshape,
    Scale,
    Shape,
    Slice,
    Sum,
    Transpose,
    apply_chain,
    chain_shape,
    picking,
    selects,
)
from sim_compress.model.matrices import Matrices, from_matrices, matrices, unrolled_bytes
from sim_compress.model.narrowing import narrowed
from sim_compress.model.rounding import VALUES, round_values, rounded, rounded_rows, without_vanishing
from sim_compress.model.sharing import every_use, replaced, shared, with_rows_of
from sim_compress.model.unrolling import chain_matrix

__all__ = [
    "MAPS",
    "VALUES",
    "Affine",
    "AlongAxis",
    "ImplicitModel",
    "Input",
    "LinearMap",
    "Lookup",
    "Matrices",
    "Offset",
    "Output",
    "Pad",
    "Patches",
    "Reshape",
    "Scale",
    "Shape",
    "Slice",
    "StateBlock",
    "Sum",
    "Term",
    "Transpose",
    "apply_chain",
    "chain_matrix",
    "chain_shape",
    "channel_axes",
    "every_use",
    "from_matrices",
    "matrices",
    "narrowed",
    "picking",
    "replaced",
    "round_values",
    "rounded",
    "rounded_rows",
    "selects",
    "shared",
    "unrolled_bytes",
    "weight_shape",
    "with_rows_of",
    "without_vanishing",
]
