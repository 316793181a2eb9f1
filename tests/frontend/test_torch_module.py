"""Torch modules: exact through torch's own exporter, named by their own names, left as they were."""

import copy
import importlib.util
from typing import Any

import numpy as np
import pytest

from sim_compress import Settings, compress
from sim_compress.compression.calibration import opened
from sim_compress.errors import DataError, InputError, MissingExtraError, UnsupportedError
from sim_compress.frontend import load_module
from sim_compress.runtime import Session
from tests.frontend.graphs import assert_close, random

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnxscript", reason="torch's exporter is not installed")
F = torch.nn.functional


class Block(torch.nn.Module):
    """Two convolutions around which the input is carried."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = torch.nn.BatchNorm2d(channels)
        self.conv2 = torch.nn.Conv2d(channels, channels, 3, padding=1)
        self.act = torch.nn.LeakyReLU()

    def forward(self, x):
        return self.act(self.conv2(F.relu(self.bn1(self.conv1(x)))) + x)


class Network(torch.nn.Module):
    """Functional activations, dropout, a block of blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 4, 3)
        self.layer1 = torch.nn.Sequential(Block(4), Block(4))
        self.fc = torch.nn.Linear(4, 5)

    def forward(self, images):
        x = self.layer1(torch.tanh(self.stem(images))).mean((2, 3))
        return self.fc(F.dropout(x, 0.5, self.training))


class TwoInputs(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = torch.nn.Linear(3, 4), torch.nn.Linear(2, 4, bias=False)

    def forward(self, a, b, scale: float = 2.0):
        return {"total": torch.sigmoid(self.left(a) + scale * self.right(b)), "right": self.right(b)}


def evaluated(module, *inputs):
    """What the module gives in evaluation mode."""
    with torch.no_grad():
        return copy.deepcopy(module).eval()(*map(torch.from_numpy, inputs))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    module = Network().train()
    module.layer1[0].bn1.eval()
    module.fc.weight.requires_grad_(False)
    return module


IMAGES = random(6, 3, 8, 8)


def test_a_module_is_exact_named_by_its_own_names_and_left_as_it_was(network):
    modes = {name: part.training for name, part in network.named_modules()}
    attributes = {name: set(vars(part)) for name, part in network.named_modules()}
    grads = {name: p.requires_grad for name, p in network.named_parameters()}
    state = copy.deepcopy(network.state_dict())

    teacher = load_module(network, {"images": IMAGES})

    assert_close(Session(teacher.model)(IMAGES), evaluated(network, IMAGES).numpy())
    named = [name for name, affine in teacher.model.affines() if affine.weighted]
    modules = {
        n for n, part in network.named_modules() if isinstance(part, torch.nn.Conv2d | torch.nn.Linear)
    }
    assert set(named) == modules
    assert {"layer1.0.conv2", "fc"} <= set(named)
    assert modes == {name: part.training for name, part in network.named_modules()}
    assert attributes == {name: set(vars(part)) for name, part in network.named_modules()}
    assert grads == {name: p.requires_grad for name, p in network.named_parameters()}
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in state.items())
    assert all(p.grad is None for p in network.parameters())


def test_a_loader_with_labels_calibrates_a_module_and_the_labels_are_left_out(network):
    inputs = torch.from_numpy(random(40, 3, 8, 8))
    data = torch.utils.data.TensorDataset(inputs, torch.zeros(40, dtype=torch.int64))
    settings = Settings(0.3, ignore=("stem",), augment="none")
    result = compress(network, torch.utils.data.DataLoader(data, batch_size=16), settings)
    assert result.sparsity == pytest.approx(0.3, abs=0.002)
    assert result.provenance["notes"] == ["the last 1 of 2 entries of every batch (labels) were left out"]
    provenance: dict[str, Any] = dict(result.provenance)
    assert provenance["calibration"]["samples"] == 40
    assert provenance["teacher"]["file"] == "Network"
    stem = next(b for b in result.model.blocks if b.name == "stem")
    np.testing.assert_array_equal(
        stem.affine.weights[0].toarray(), network.stem.weight.detach().numpy().reshape(4, -1)
    )


def test_several_inputs_and_outputs_go_by_the_names_of_forward():
    """Outputs by the keys of what it returns, though they have rows that go by the names of modules."""
    module = TwoInputs()
    inputs = {"a": torch.from_numpy(random(5, 3)), "b": random(5, 2, seed=1).astype(np.float64)}
    teacher, arrays, _ = opened(module, inputs)
    assert [i.name for i in teacher.model.inputs] == ["a", "b"]
    found = Session(teacher.model).predict(arrays)
    expected = evaluated(module, random(5, 3), random(5, 2, seed=1))
    assert list(found) == list(expected) == ["total", "right"]
    for name, wanted in expected.items():
        assert_close(found[name], wanted.numpy())


def test_an_exported_program_and_a_graph_module_are_read_too():
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
    inputs = random(5, 3)
    for network in (torch.fx.symbolic_trace(module), torch.export.export(module, (torch.randn(2, 3),))):
        teacher, arrays, _ = opened(network, inputs)
        assert_close(Session(teacher.model).predict(arrays).popitem()[1], evaluated(module, inputs).numpy())
        assert [name for name, _ in teacher.model.affines()] == ["0", "2"]


class Branching(torch.nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_module_that_torch_cannot_export_is_refused_with_torchs_reason():
    with pytest.raises(UnsupportedError, match=r"Branching: torch cannot export this module to ONNX \(.+\)"):
        compress(Branching(), random(4, 3), Settings(0.5))


def test_without_the_exporter_the_extra_is_named(network, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sim-compress\[torch\]'"):
        compress(network, IMAGES, Settings(0.5))


def test_one_array_for_several_inputs_is_refused():
    with pytest.raises(DataError, match="the inputs a, b: pass a dict"):
        compress(TwoInputs(), random(4, 3), Settings(0.5))


def test_what_is_no_network_is_refused():
    with pytest.raises(InputError, match="a torch module or an opened teacher, got dict"):
        compress({"state": 1}, random(4, 3), Settings(0.5))
