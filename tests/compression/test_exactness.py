"""The state model gives the network's outputs, or is as near to them as the network is to itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from sim_compress.compression import check_exact
from sim_compress.errors import UnsupportedError
from sim_compress.model import Affine, ImplicitModel, Input, Output, Term
from sim_compress.states import Teacher
from tests.networks import weight

ROWS = weight(3, 4, 1.0)
INPUTS = {"x": np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)}


@dataclass(frozen=True)
class Rounding:
    """A teacher of three rows whose outputs are off by so much of their size, computed in two ways."""

    off: float
    plainly_off: float

    @property
    def model(self) -> ImplicitModel:
        return ImplicitModel((Input("x", (4,)),), (), (Output("y", Affine((3,), (Term("x", (), ROWS),))),))

    def _y(self, batch: Any, off: float) -> dict[str, np.ndarray]:
        y = ROWS.toarray() @ batch["x"]
        return {"y": y + off * np.abs(y).max() * np.eye(3, 2)}

    def outputs(self, batch: Any) -> dict[str, np.ndarray]:
        return self._y(batch, self.off)

    def plain_outputs(self, batch: Any) -> dict[str, np.ndarray]:
        return self._y(batch, self.plainly_off)


def notes(off: float, plainly_off: float) -> tuple[str, ...]:
    teacher: Any = Rounding(off, plainly_off)
    return check_exact(teacher, INPUTS)


def test_rounding_is_nothing_to_speak_of():
    assert notes(5e-4, 0.0) == ()


def test_a_network_that_moves_by_more_when_computed_another_way_is_taken_with_a_note():
    (note,) = notes(4e-3, -1e-3)
    assert note.startswith("output 'y' of the network depends on rounding: it moves by 0.005 of its size")
    assert note.endswith("and the state model is 0.001 from that")


@pytest.mark.parametrize(("off", "plainly_off"), [(4e-3, 4e-3), (4e-3, 3e-3), (0.5, 0.4), (np.nan, 0.0)])
def test_a_model_further_off_than_the_network_is_from_itself_is_refused(off: float, plainly_off: float):
    with pytest.raises(UnsupportedError, match="please report this network"):
        notes(off, plainly_off)


def test_a_network_computed_node_by_node_has_the_same_outputs(teacher: Teacher):
    rng = np.random.default_rng(0)
    batch = {i.name: rng.random((*i.shape, 3)).astype(np.float32) for i in teacher.model.inputs}
    for name, y in teacher.plain_outputs(batch).items():
        np.testing.assert_allclose(y, teacher.outputs(batch)[name], rtol=1e-4, atol=1e-4)
