"""What a row may use: the sources it has in the network, or every state and input."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sim_compress.compression.rows.full_support import own_states, widened
from sim_compress.core import FORBIDDEN, Ball
from sim_compress.model import Affine, ImplicitModel
from sim_compress.states import RowGroup


@dataclass(frozen=True)
class Design:
    """The features of every row.

    Attributes:
        affines: model -> block or output name -> the terms its rows may use.
        inside: the kappa constraint of one row group, without entries that its rows may not use.
        shares_rows: whether blocks that share rows in the network go on sharing them.
        loops: whether the model has loops.
    """

    affines: Callable[[ImplicitModel], dict[str, Affine]]
    inside: Callable[[Ball, str, Affine, RowGroup], Ball]
    shares_rows: bool
    loops: bool


def _its_own(model: ImplicitModel) -> dict[str, Affine]:
    return dict(model.affines())


def _whole(ball: Ball, _name: str, _affine: Affine, _group: RowGroup) -> Ball:
    return ball


def _without_itself(ball: Ball, name: str, affine: Affine, group: RowGroup) -> Ball:
    return replace(ball, weights=np.where(own_states(name, affine, group), FORBIDDEN, ball.weights))


NETWORK = Design(_its_own, _whole, shares_rows=True, loops=False)
FULL = Design(widened, _without_itself, shares_rows=False, loops=True)
DESIGNS = {"network": NETWORK, "full": FULL}
