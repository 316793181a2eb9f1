"""The torch module equals the scipy kernel, and its gradients equal finite differences."""

import copy
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sim_compress.activations import KINDS, Activation
from sim_compress.artifact import read
from sim_compress.errors import ConvergenceError, DataError, InputError, MissingExtraError, UnsupportedError
from sim_compress.frontend import load_teacher
from sim_compress.model import (
    MAPS,
    Affine,
    ImplicitModel,
    Input,
    Output,
    Patches,
    StateBlock,
    Term,
    weight_shape,
)
from sim_compress.runtime import Session, Tolerance
from tests.networks import bias, loop, patches, residual_network, weight

pytest.importorskip("torch", reason="the extra 'torch' is not installed")

import torch

from sim_compress.runtime.autograd import maps, phis
from sim_compress.runtime.autograd.fixed_point import fixed_point
from sim_compress.runtime.autograd.module import ImplicitModule

ROOT = Path(__file__).parents[3]
# Sums of up to some thousand products in float32, in another order; relative to the largest output.
ROUNDING = 2e-5
# Finite differences of a fixed point need it exact.
EXACT = Tolerance(residual=1e-13, iterations=5000)


def double(model: ImplicitModel) -> ImplicitModule:
    return Session(model, EXACT, kernel="scipy").to_torch().double()


def inputs(model: ImplicitModel, samples: int, dtype: str = "float32") -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(samples)
    return {
        i.name: torch.tensor(rng.standard_normal((samples, *i.shape)).astype(dtype)) for i in model.inputs
    }


def tensors(outputs: torch.Tensor | dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return list(outputs.values()) if isinstance(outputs, dict) else [outputs]


def assert_equals_scipy(model: ImplicitModel, samples: int = 3) -> None:
    session = Session(model, Tolerance(residual=1e-6), kernel="scipy")
    fed = inputs(model, samples)
    expected = session.predict({name: x.numpy() for name, x in fed.items()})
    with torch.no_grad():
        found = session.to_torch()(fed)
    for y, z in zip(expected.values(), tensors(found), strict=True):
        np.testing.assert_allclose(z.numpy(), y, rtol=0, atol=ROUNDING * np.abs(y).max(initial=1e-3))


def assert_gradients(model: ImplicitModel, samples: int = 2) -> None:
    """Gradients to inputs and all parameters."""
    module, fed = double(model), inputs(model, samples, "float64")
    names = [name for name, _ in module.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]

    def function(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = dict(zip(names, arguments, strict=False))
        given = dict(zip(fed, arguments[len(names) :], strict=True))
        outputs = torch.func.functional_call(module, own, (given,))
        return tuple(tensors(outputs))

    arguments = (*parameters, *(x.requires_grad_() for x in fed.values()))
    assert torch.autograd.gradcheck(function, arguments, fast_mode=True)


def two_loops() -> ImplicitModel:
    """A loop of two convolutional blocks that read an acyclic one, and a read-out."""

    def small(rows: int, features: int, seed: int) -> sparse.csr_array:
        W = weight(rows, features, 0.5, seed)
        W.data *= np.float32(0.4) / abs(W).sum(axis=1).max()
        return W

    step, shape = patches(3, 1, 1), (2, 4, 4)
    stem = Affine(shape, (Term("u", (step,), weight(2, 18)),), bias(2))
    first = Affine(shape, (Term("b", (step,), small(2, 18, 1)), Term("stem")), bias(2, 1))
    second = Affine(shape, (Term("a", (step,), small(2, 18, 2)), Term("u", (), weight(2, 2, 1.0, 3))))
    return ImplicitModel(
        (Input("u", shape),),
        (
            StateBlock("stem", stem, Activation("sigmoid")),
            StateBlock("a", first, Activation("tanh")),
            StateBlock("b", second, Activation("leaky_relu", {"slope": 0.1})),
        ),
        (Output("y", Affine(shape, (Term("b"), Term("a", (step,), weight(2, 18, 1.0, 4))))),),
    )


def grouped(rank: int) -> ImplicitModel:
    """A convolution in groups along `rank` axes, then a token-wise product in groups."""
    step = Patches((2,) * rank, (2,) * rank, (1,) * rank, (1,) * rank, (0,) * rank)
    W = np.zeros((6, 4 * 2**rank), np.float32)
    half = 2 * 2**rank
    W[:3, :half], W[3:, half:] = weight(3, half, 1.0).toarray(), weight(3, half, 1.0, 1).toarray()
    out = step.out_shape((4, *(6,) * rank))[1:]
    mixed = np.zeros((4, 6), np.float32)
    mixed[:2, :3], mixed[2:, 3:] = weight(2, 3, 1.0).toarray(), weight(2, 3, 1.0, 1).toarray()
    return ImplicitModel(
        (Input("u", (4, *(6,) * rank)),),
        (
            StateBlock(
                "x",
                Affine((6, *out), (Term("u", (step,), sparse.csr_array(W), groups=2),), bias(6)),
                Activation("tanh"),
            ),
        ),
        (Output("y", Affine((4, *out), (Term("x", (), sparse.csr_array(mixed), groups=2),))),),
    )


NETWORKS = {
    "residual": residual_network,
    "loop": loop,
    "two loops": two_loops,
    **{f"grouped {rank}-d": lambda rank=rank: grouped(rank) for rank in (1, 2, 3, 4)},
}


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_equal_those_of_the_scipy_kernel(network: str):
    assert_equals_scipy(NETWORKS[network]())


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.onnx")), ids=lambda p: p.stem)
def test_trained_networks_equal_the_scipy_kernel(path: Path):
    assert_equals_scipy(load_teacher(path).model)


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.sim.safetensors")), ids=lambda p: p.stem)
def test_artifacts_with_loops_equal_the_scipy_kernel(path: Path):
    assert_equals_scipy(read(path).model)


@pytest.mark.parametrize("network", ["residual", "loop", "two loops", "grouped 2-d"])
def test_gradients_equal_finite_differences(network: str):
    assert_gradients(NETWORKS[network]())


@pytest.mark.parametrize("network", NETWORKS)
def test_parameters_that_moved_go_back_into_a_model(network: str):
    model = NETWORKS[network]()
    module = Session(model, Tolerance(residual=1e-6)).to_torch()
    assert module.to_model().nnz == model.nnz
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.9)
    back, fed = module.to_model(), inputs(model, 3)
    outputs = Session(back, Tolerance(residual=1e-6), kernel="scipy").predict(
        {name: x.numpy() for name, x in fed.items()}
    )
    with torch.no_grad():
        found = module(fed)
    for y, z in zip(outputs.values(), tensors(found), strict=True):
        np.testing.assert_allclose(z.numpy(), y, rtol=0, atol=ROUNDING * np.abs(y).max(initial=1e-3))


def test_values_that_became_zero_leave_the_model():
    model = residual_network()
    module = Session(model).to_torch()
    parameter = next(p for n, p in module.named_parameters() if n.endswith("values"))
    with torch.no_grad():
        parameter[:2] = 0
    assert module.to_model().nnz == model.nnz - 2


@pytest.mark.parametrize("network", ["residual", "two loops"])
def test_every_state_and_output_is_there_by_name(network: str):
    model = NETWORKS[network]()
    module, fed = double(model), inputs(model, 2, "float64")
    with torch.no_grad():
        every = module.everything(fed)
        expected = module(fed)
    assert set(every) == {b.name for b in model.blocks} | {o.name for o in model.outputs}
    for block in model.blocks:
        assert every[block.name].shape == (2, *block.shape)
    for output, y in zip(model.outputs, tensors(expected), strict=True):
        assert torch.equal(every[output.name], y)


def test_every_phi_and_map_has_a_function():
    assert set(phis.PHIS) == set(KINDS)
    assert set(maps.FUNCTIONS) == set(MAPS.values())


def test_a_phi_or_map_without_a_function_is_refused(monkeypatch):
    monkeypatch.delitem(phis.PHIS, "tanh")
    with pytest.raises(UnsupportedError, match="'tanh' has no torch function"):
        Session(residual_network()).to_torch()
    monkeypatch.undo()
    monkeypatch.delitem(maps.FUNCTIONS, Patches)
    with pytest.raises(UnsupportedError, match="'Patches' has no torch function"):
        Session(grouped(4)).to_torch()


def test_parameters_are_the_nonzero_values_and_the_biases():
    model = residual_network()
    module = Session(model).to_torch()
    weights = sum(w.count_nonzero() for _, affine in model.affines() for w in affine.weights)
    biases = sum(affine.rows for _, affine in model.affines() if affine.bias is not None)
    assert sum(p.numel() for p in module.parameters()) == weights + biases
    assert module.names == [name for name, _ in model.affines()]


def test_a_state_dict_carries_values_places_and_constants_to_another_support():
    model, other = two_loops(), two_loops()
    for _, affine in other.affines():
        for w in affine.weights:
            # The same number of nonzeros in other columns.
            w.indices = (weight_shape(w)[1] - 1 - w.indices).astype(w.indices.dtype)
    source, target = Session(model).to_torch(), Session(other).to_torch()
    fed = inputs(model, 2)
    target.load_state_dict(source.state_dict())
    torch.testing.assert_close(target(fed), source(fed))


def test_a_module_is_copied_and_saved_whole():
    module, fed = Session(two_loops()).to_torch(), inputs(two_loops(), 2)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for other in (copy.deepcopy(module), torch.load(file, weights_only=False)):
        torch.testing.assert_close(other(fed), module(fed))


@pytest.mark.parametrize(
    ("dtype", "rounding"), [(torch.float16, 2e-2), (torch.bfloat16, 1e-1), (torch.float64, 1e-5)]
)
def test_other_dtypes(dtype, rounding):
    for model in (loop(), residual_network()):
        module, fed = Session(model).to_torch(), inputs(model, 3)
        expected, found = module(fed), copy.deepcopy(module).to(dtype)(fed)
        for y, z in zip(tensors(expected), tensors(found), strict=True):
            assert z.dtype == dtype
            torch.testing.assert_close(z.float(), y, rtol=rounding, atol=rounding)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_outputs_and_gradients_on_a_gpu():
    for model in (two_loops(), residual_network()):
        fed = inputs(model, 3)
        here, there = Session(model).to_torch(), Session(model).to_torch().cuda()
        totals = []
        for module, device in ((here, "cpu"), (there, "cuda")):
            outputs = module({name: x.to(device) for name, x in fed.items()})
            total = torch.stack([y.square().sum() for y in tensors(outputs)]).sum()
            total.backward()
            totals.append(total.item())
        assert totals[0] == pytest.approx(totals[1], rel=1e-3)
        for p, q in zip(here.parameters(), there.parameters(), strict=True):
            assert p.grad is not None
            assert q.grad is not None
            torch.testing.assert_close(p.grad, q.grad.cpu(), rtol=1e-2, atol=1e-3)


def test_a_sample_that_does_not_converge_is_an_error():
    module = Session(loop(0.9), Tolerance(residual=1e-7, iterations=3)).to_torch()
    with pytest.raises(ConvergenceError, match="4 of 4 samples"):
        module(torch.ones(4, 3))


def test_gradients_that_do_not_converge_are_an_error():
    A, u = 0.99 * torch.eye(4).roll(1, 0), torch.zeros(2, 4, requires_grad=True)
    # Zero is the equilibrium, found at once; v = A' v + g takes hundreds of steps.
    x = fixed_point(lambda x: x @ A + u, torch.zeros(2, 4), Tolerance(iterations=3))
    with pytest.raises(ConvergenceError, match="2 of 2 samples"):
        x[:, 0].sum().backward()


def test_second_derivatives_through_a_loop_are_refused():
    module, u = Session(loop()).to_torch(), torch.ones(1, 3, requires_grad=True)
    with pytest.raises(InputError, match="create_graph"):
        torch.autograd.grad(module(u).sum(), u, create_graph=True)


def test_training_moves_values_and_no_zeros():
    model = two_loops()
    module, fed = Session(model).to_torch(), inputs(model, 4)
    before = [w.detach().clone() for w in module.parameters()]
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = module(fed).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all((p != b).any() for p, b in zip(module.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"v": torch.zeros(1, 3)}, r"expected the inputs \['u'\]"),
        (torch.zeros(1, 4), r"expected shape \('samples', 3\), got \(1, 4\)"),
        (torch.zeros(3), "expected shape"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(bad, message):
    with pytest.raises(DataError, match=message):
        Session(loop()).to_torch()(bad)


def test_without_torch_the_message_says_what_to_install(monkeypatch):
    for name in [n for n in sys.modules if n.startswith("sim_compress.runtime.autograd")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sim-compress\[torch\]'"):
        Session(loop()).to_torch()
