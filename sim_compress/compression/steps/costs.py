"""What the Grams of a compression take, known before any work."""

import math
from dataclasses import dataclass

from sim_compress.compression.allocation.scope import parts
from sim_compress.compression.calibration.mirroring import may_mirror
from sim_compress.compression.prepared import Prepared
from sim_compress.compression.settings import Settings
from sim_compress.core.gram import Gram
from sim_compress.states import row_groups


@dataclass(frozen=True)
class GramCosts:
    """The Grams of all blocks that are compressed.

    Attributes:
        row_groups: each has a Gram of its own.
        bytes: of one set of all Grams.
        operations: multiply-adds of one pass over the calibration inputs, and their mirror images where
            these may serve.
        passes: over the calibration inputs for one target sparsity, baseline states included.
    """

    row_groups: int
    bytes: int
    operations: int
    passes: int


def gram_costs(ready: Prepared, settings: Settings) -> GramCosts:
    """Costs of a compression of what was prepared, with or without mirror images, for the settings.

    Raises:
        InputError: a pattern matches nothing.
    """
    model, samples = ready.teacher.model, ready.calibration.samples
    if may_mirror(model, ready.calibration.arrays, settings):
        samples *= 2
    names = [name for part in parts(model, ready.teacher.nodes, settings) for name in part.names]
    points = {
        n: samples * sum(math.prod(ready.affines[use].positions) for use in model.uses(n)) for n in names
    }
    sizes = [
        (group.width, group.rows.stop - group.rows.start, points[name])
        for name in names
        for group in row_groups(ready.affines[name])
    ]
    return GramCosts(
        row_groups=len(sizes),
        bytes=sum(Gram.bytes(features, rows) for features, rows, _ in sizes),
        operations=sum(points * features * (features + rows) for features, rows, points in sizes),
        passes=ready.method.passes,
    )
