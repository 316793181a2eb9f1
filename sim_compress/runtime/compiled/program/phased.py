"""Tied rows in phases of columns, one row after the other at a tile of vectors."""

import numpy as np
from scipy import sparse

from sim_compress.model import Affine
from sim_compress.runtime.compiled.code.operations import PhasedSum
from sim_compress.runtime.compiled.code.phased_code import TILE
from sim_compress.runtime.compiled.layout.places import Tiled
from sim_compress.runtime.compiled.layout.tiles import runs
from sim_compress.runtime.compiled.program.channels import channels
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.phis import Parameters
from sim_compress.runtime.compiled.program.streams import phased_stream

# Bytes of the tiles of a phase's columns: most of the first cache of processors of today. With 64 tokens that
# is 96 columns; all 384 at once took half as long again (tools/bench/runtime.py).
PHASE = 24 * 1024
# Rows of one item where threads share them: fewer would read the columns too often.
SHARE = 96


def lower_phased(context: Context, name: str, affine: Affine, target: Tiled, phi: Parameters) -> bool:
    """z of a block, phi included; False where a term cannot be read in place."""
    geometry = target.geometry
    found = [channels(context, term, target.form, geometry) for term in affine.terms]
    terms = [term for term in found if term is not None]
    if len(terms) < len(found):
        return False
    tiles = runs(geometry, TILE)
    columns = max(1, PHASE // (4 * context.lanes.width * int(tiles[:, 1].max())))
    # Another batch size may have other phases.
    key = (name, columns)
    weight = phased_stream(sparse.csr_array(sparse.hstack([t.weight for t in terms])), columns)
    rows = target.form.channels
    bias = np.zeros(rows) if affine.bias is None else affine.bias.astype(np.float64)
    for term in terms:
        bias = bias if term.bias is None else bias + term.bias
    share = rows if context.threads == 1 else min(rows, SHARE)
    parts = -(-rows // share)
    assembly = context.assembly
    begins = np.arange(parts) * share
    before = np.cumsum(weight.counts.ravel()) - weight.counts.ravel()
    starts = before.reshape(weight.counts.shape)[:, begins].T
    places = np.concatenate([term.places for term in terms])
    assembly.add(
        PhasedSum(
            len(tiles) * parts,
            assembly.integers(tiles, ("runs", geometry)),
            parts,
            rows,
            share,
            len(weight.counts),
            assembly.integers(starts),
            assembly.integers(weight.counts),
            assembly.integers(places[weight.columns]),
            assembly.constants.add((*key, "values"), weight.values),
            target.base * context.lanes.width,
            geometry.plane * context.lanes.width,
            assembly.constants.add((*key, "bias"), bias),
            assembly.constants.add(phi, np.array(phi)),
        )
    )
    return True
