"""Rows that ids are looked up in too, as tied embeddings are: what the lookups add to their row problem.

A lookup gives a row as it is, so its error is (w - e)^2, e the network's row. Every use counts by its error
relative to the energy of what it gives, summed over all rows:

    sum_i E[(z_i - w_i s - b_i)^2] / sum_i Var[z_i]  +  LOOKUP * lookups * sum_i |w_i - e_i|^2 / sum_i |e_i|^2

All ids count alike: a few hundred inputs hold few of them, and the rows share one H.
"""

from collections.abc import Mapping

import numpy as np

from sim_compress.core import Gram
from sim_compress.model import Affine, ImplicitModel
from sim_compress.states import Grams, RowGroup, row_groups, teacher_rows

# What a lookup counts against the other uses of its rows together, chosen by tools/bench/tied_embeddings.py:
# within 5 % of the best for a GPT-2 and a Llama at 50 and 70 %, where 0 is up to 11 % worse and 3 up to 37 %.
LOOKUP = 0.3


def with_lookups(
    model: ImplicitModel, affines: Mapping[str, Affine], grams: Mapping[str, Grams]
) -> dict[str, Grams]:
    """Owner of rows that ids are looked up in -> Grams of all their uses.

    Args:
        model: the network.
        affines: block or output name -> the design its rows may use.
        grams: of the uses as rows, on the teacher's states.
    """
    return {
        name: _with_lookups(model, affines[name], grams[name]) for name in model.readers if name in affines
    }


def _with_lookups(model: ImplicitModel, affine: Affine, grams: Grams) -> Grams:
    energy = sum(float(g.target_variance.sum()) for g in grams)
    strengths = [energy * LOOKUP * _lookups(model, w) / float(w.data @ w.data or 1) for w in affine.weights]
    pairs = zip(row_groups(affine), grams, strict=True)
    return tuple(_pulled(affine, group, gram, strengths) for group, gram in pairs)


def _lookups(model: ImplicitModel, table: object) -> int:
    """How many lookups read a table."""
    return sum(m.table is table for _, affine in model.affines() for m in affine.lookups)


def _pulled(affine: Affine, group: RowGroup, gram: Gram, strengths: list[float]) -> Gram:
    widths = [own.stop - own.start for own in group.features]
    return gram.pulled(teacher_rows(affine, group), np.repeat(strengths, widths))
