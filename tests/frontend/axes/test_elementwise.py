"""Nodes entry by entry, and how their inputs line up."""

import numpy as np
import pytest

from sim_compress.frontend.axes import Placed
from sim_compress.frontend.axes.alignment import aligned, divided_constant
from sim_compress.frontend.axes.numbers import sample_number
from sim_compress.frontend.refusal import RefusalError
from tests.frontend.axes.oracle import assert_placed, every_place, question, refusal
from tests.frontend.graphs import node, random

PLACES = every_place(2, 3, 4)


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_a_constant_lines_up_with_samples_at_any_place(x: Placed) -> None:
    nodes = [node("Mul", ["x", "c"], ["m"]), node("Sub", ["d", "m"], ["s"]), node("Add", ["s", "one"], ["y"])]
    full = [1 if i == x.batch else s for i, s in enumerate(x.shape)]
    behind = full[1:] if x.batch != 0 else full[2:]
    constants = {"c": random(*full), "d": random(*behind, seed=1), "one": np.ones((), np.float32)}
    found = assert_placed(question(nodes, {"x": x}, constants))
    assert str(found.tensors["y"]) == str(x)


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_two_activations_line_up_with_samples_at_any_place(x: Placed) -> None:
    thin = Placed(tuple(s if i == x.batch else 1 for i, s in enumerate(x.shape)), x.batch, x.before)
    nodes = [node("Add", ["x", "u"], ["a"]), node("Max", ["a", "x", "u"], ["m"]), node("Relu", ["m"], ["y"])]
    assert_placed(question(nodes, {"x": x, "u": x}))
    found = assert_placed(question(nodes, {"x": thin, "u": x}))
    assert str(found.tensors["y"]) == str(x)


@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_a_constant_that_holds_a_fixed_batch_is_that_of_one_sample(x: Placed, samples: int) -> None:
    one = random(1, *x.sample_shape)
    constant = x.in_file(np.repeat(one, samples, axis=0))
    nodes = [node("Add", ["x", "c"], ["a"]), node("Where", ["t", "a", "c"], ["y"])]
    asked = question(nodes, {"x": x}, {"c": constant, "t": constant > 0}, samples=samples)
    assert_placed(asked)


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_a_clip_has_settings_beside_its_input(x: Placed) -> None:
    bounds = {"low": np.asarray(-0.5, np.float32), "high": np.asarray(0.5, np.float32)}
    assert_placed(question([node("Clip", ["x", *bounds], ["y"])], {"x": x}, bounds))


def test_results_take_the_larger_of_two_parts_of_a_merged_axis() -> None:
    x, u = Placed((6, 2), 0, 2), Placed((6, 1), 0, 2)
    assert (
        str(assert_placed(question([node("Mul", ["x", "u"], ["y"])], {"x": x, "u": u})).tensors["y"])
        == "[(2 N 3), 2]"
    )


CONFLICTS = {
    "another axis": (Placed((1, 1, 3), 0), Placed((1, 1, 3), 1)),
    "another number in front": (Placed((6, 2), 0, 2), Placed((6, 2), 0, 3)),
    "another number in all": (Placed((6, 2), 0), Placed((1, 2), 0)),
}


@pytest.mark.parametrize("places", CONFLICTS.values(), ids=CONFLICTS)
def test_samples_in_two_places_are_refused(places: tuple[Placed, Placed]) -> None:
    asked = question([node("Add", ["x", "u"], ["y"])], dict(zip("xu", places, strict=True)))
    said = [f"its inputs have the batch axis in two places, {a} and {b}" for a, b in (places, places[::-1])]
    assert refusal(asked) in said


def test_a_batch_of_one_may_as_well_stand_where_that_of_another_input_does() -> None:
    x, u = Placed((5, 1, 3), 1), Placed((5, 1, 3), 0, 5)
    assert_placed(
        question([node("Add", ["x", "u"], ["y"])], {"x": x, "u": Placed((1, 5, 1, 3), 2)}, samples=1)
    )
    lined = aligned([x, Placed((1, 3), 0)], 1)
    assert str(lined.result) == "[5, N, 3]"
    with pytest.raises(RefusalError, match="two places"):
        aligned([x, u], None)


def test_shapes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(RefusalError, match=r"combines shapes \[N, 3\], \[4\], which do not broadcast"):
        aligned([Placed((1, 3), 0), Placed((4,))], None)


def test_a_constant_over_the_samples_is_refused() -> None:
    x = Placed((1, 3), 0)
    for samples, shape in ((None, (5, 3)), (2, (5, 3)), (2, (4, 3))):
        with pytest.raises(RefusalError, match=f"{shape[0]} entries along axis 0, the batch axis"):
            divided_constant(Placed(shape, numbers=np.zeros(shape)), 0, 1, x.after, samples)
    differing = Placed((2, 3), numbers=random(2, 3))
    with pytest.raises(RefusalError, match="differs from sample to sample"):
        divided_constant(differing, 0, 1, 1, 2)
    with pytest.raises(RefusalError, match="differs from sample to sample"):
        divided_constant(Placed((3,), numbers=np.array([0, 1, 3])), 0, 1, 1, 3)


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("after", [1, 3])
def test_numbers_that_count_on_from_sample_to_sample_are_the_samples_own(before: int, after: int) -> None:
    """As the ids of windows: a + d n, for every place of a sample's part."""
    start, step = np.arange(before * after).reshape(before, 1, after) ** 2, np.arange(before * after)
    samples = 4
    full = start + step.reshape(before, 1, after) * np.arange(samples)[:, None]
    x = divided_constant(Placed((full.size,), numbers=full.ravel()), 0, before, after, samples)
    assert x.value is not None
    wanted = [int(a) + sample_number(int(d)) for a, d in zip(start.ravel(), step, strict=True)]
    assert list(x.value) == wanted
    assert (x.batch, x.before, x.shape) == (0, before, (before * after,))


def test_floats_never_count() -> None:
    counting = Placed((3,), numbers=np.arange(3, dtype=np.float32))
    with pytest.raises(RefusalError, match="differs from sample to sample"):
        divided_constant(counting, 0, 1, 1, 3)
