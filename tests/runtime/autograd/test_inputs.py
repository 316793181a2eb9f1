"""A torch module takes what the network took: in order, by name, arrays, any batch, empty ones too."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.artifact import read
from sim_compress.errors import DataError
from sim_compress.model import Affine, ImplicitModel, Input, Output, Pad, Term
from sim_compress.runtime import Session
from tests.networks import loop, residual_network, weight
from tests.runtime.phi_models import every_phi, phi_model

pytest.importorskip("torch", reason="the extra 'torch' is not installed")

import torch

from sim_compress.runtime.autograd.maps import FixedMap
from tests.runtime.autograd.test_maps import EXAMPLES
from tests.runtime.autograd.test_module import grouped, two_loops

MODELS = Path(__file__).parents[3] / "models"
LEFT, RIGHT = (np.random.default_rng(k).standard_normal((4, 3)).astype(np.float32) for k in (0, 1))


def two_inputs() -> ImplicitModel:
    terms = (Term("left", (), weight(2, 3, 1.0)), Term("right", (), weight(2, 3, 1.0, 1)))
    return ImplicitModel((Input("left", (3,)), Input("right", (3,))), (), (Output("y", Affine((2,), terms)),))


@pytest.fixture
def module():
    return Session(two_inputs()).to_torch()


def test_inputs_come_in_order_by_name_or_in_a_dict(module):
    left, right = torch.from_numpy(LEFT), torch.from_numpy(RIGHT)
    expected = Session(two_inputs())({"left": LEFT, "right": RIGHT})
    for y in (
        module(left, right),
        module(left, right=right),
        module(right=right, left=left),
        module({"right": right, "left": left}),
        module(LEFT, RIGHT),
        module(left.double(), RIGHT.astype(np.float16).astype(np.float64)[:]),
        module(LEFT.tolist(), RIGHT),
    ):
        np.testing.assert_allclose(y.detach().numpy(), expected, rtol=0, atol=5e-3)
    assert torch.equal(module(LEFT, RIGHT), module(left, right))
    every = module.everything(LEFT, right=RIGHT)
    assert torch.equal(every["y"], module(left, right))


def test_arrays_of_any_order_and_right_are_taken(module):
    expected = module(LEFT, RIGHT)
    frozen = LEFT.copy()
    frozen.flags.writeable = False
    strided = np.repeat(LEFT, 2, axis=0)[::2]
    for array in (frozen, strided, LEFT.astype(">f4"), LEFT[::-1][::-1], np.asfortranarray(LEFT)):
        assert torch.equal(module(array, RIGHT), expected)


def test_ids_are_whole_numbers_of_any_width():
    ids = np.array([[3, 1], [0, 2]])
    model = ImplicitModel(
        (Input("ids", (2,), "int64"),), (), (Output("y", Affine((3,), (Term("ids", (Pad((0,), (1,)),)),))),)
    )
    module = Session(model).to_torch()
    for given in (ids, ids.astype(np.uint16), torch.from_numpy(ids).int(), ids.tolist()):
        assert module(ids=given).tolist() == [[3, 1, 0], [0, 2, 0]]
    with pytest.raises(DataError, match="input 'ids': expected int64 numbers, got"):
        module(ids.astype(np.float32))


@pytest.mark.parametrize(
    ("given", "named", "message"),
    [
        ((LEFT,), {}, "the model has the inputs left, right: pass a dict"),
        ((LEFT, RIGHT, LEFT), {}, "expected the inputs left, right, got 3 in order"),
        ((LEFT,), {"left": LEFT}, "'left' is given in order and by name"),
        ((LEFT, RIGHT), {"labels": LEFT}, r"expected the inputs \['left', 'right'\], got \['labels', "),
        ((), {}, r"expected the inputs \['left', 'right'\], got \[\]"),
        ((LEFT, RIGHT[:2]), {}, "differ in their number of samples"),
        ((LEFT, None), {}, "input 'right': expected a tensor or an array of numbers, got NoneType"),
        ((LEFT, "text"), {}, "input 'right': expected a tensor or an array of numbers, got str"),
        ((LEFT, 3.0), {}, r"input 'right': expected shape \('samples', 3\), got \(\)"),
        ((LEFT, torch.empty(4, 3, device="meta")), {}, "expected a tensor on cpu, .* got one on meta"),
    ],
)
def test_what_does_not_fit_is_refused(module, given, named, message):
    with pytest.raises(DataError, match=message):
        module(*given, **named)


@pytest.mark.parametrize(("name", "a"), every_phi())
def test_every_phi_takes_an_empty_batch(name, a):
    model, fed = phi_model(name, a, weighted=True)
    found = Session(model).to_torch()({n: x[:0] for n, x in fed.items()})
    assert found.shape == (0, *model.outputs[0].shape)


@pytest.mark.parametrize("step", EXAMPLES, ids=lambda step: type(step).__name__)
def test_every_map_takes_an_empty_batch(step):
    shape = FixedMap(step)(torch.zeros(2, 3, 4, 5)).shape
    assert FixedMap(step)(torch.zeros(0, 3, 4, 5)).shape == (0, *shape[1:])


@pytest.mark.parametrize("make", [loop, two_loops, residual_network, two_inputs, lambda: grouped(2)])
def test_every_kind_of_network_takes_an_empty_batch(make):
    model = make()
    found = Session(model).to_torch()(*(np.zeros((0, *i.shape), np.float32) for i in model.inputs))
    outputs = found if isinstance(found, dict) else {model.outputs[0].name: found}
    assert {n: tuple(y.shape) for n, y in outputs.items()} == {o.name: (0, *o.shape) for o in model.outputs}


def test_an_empty_batch_has_gradients():
    model = read(MODELS / "fashion_implicit.sim.safetensors").model
    module = Session(model).to_torch()
    module(np.zeros((0, *model.inputs[0].shape), np.float32)).sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in module.parameters())


@pytest.mark.parametrize("make", [residual_network, two_inputs])
def test_torch_exports_the_module_with_a_free_batch(make):
    model = make()
    module = Session(model).to_torch()
    fed = tuple(torch.randn(3, *i.shape) for i in model.inputs)
    batch = torch.export.Dim("batch")
    program = torch.export.export(module, fed, dynamic_shapes=(tuple({0: batch} for _ in fed),))
    again = tuple(torch.randn(5, *i.shape) for i in model.inputs)
    found, expected = program.module()(*again), module(*again)
    for name, y in (expected if isinstance(expected, dict) else {"": expected}).items():
        torch.testing.assert_close(found[name] if name else found, y)
