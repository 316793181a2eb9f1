"""Every kind of torch object that holds a network: exact, and left as it was."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sim_compress import Settings, compress
from sim_compress.compression.calibration import opened
from sim_compress.errors import DataError, InputError, UnsupportedError
from sim_compress.runtime import Session
from tests.frontend.graphs import assert_close, random

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnxscript", reason="torch's exporter is not installed")

import torch
from torch.nn import functional

from sim_compress.frontend.modules.settled import check_evaluates

# TorchScript is deprecated, and torch warns of what it does itself when programs are made and decomposed.
TORCHS_OWN_WARNINGS = pytest.mark.filterwarnings("ignore")
# Rounding of a network's own numbers, of which the state model knows nothing: it computes in float32.
ROUNDING = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float64: 1e-6}


class Small(torch.nn.Module):
    """Convolution, batch norm, a mask that may be left out, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.bn = torch.nn.BatchNorm2d(4)
        self.head = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
        self.last = torch.nn.Linear(4, 2, bias=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None, scale: float = 2.0) -> torch.Tensor:
        if mask is not None:
            x = x * mask
        x = torch.relu(self.bn(self.conv(x))).mean((2, 3)) * scale
        return self.last(functional.dropout(self.head(x), 0.5, self.training))


class Tied(torch.nn.Module):
    """A language model as transformers spells it; the embedding is the head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(20, 5)
        self.mix = torch.nn.Linear(5, 5)
        self.head = torch.nn.Linear(5, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        x = self.embed(input_ids)
        if attention_mask is not None:
            x = x * attention_mask.to(x.dtype).unsqueeze(-1)
        hidden = torch.tanh(self.mix(x))
        logits = self.head(hidden)
        loss = None if labels is None else functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return {"loss": loss, "logits": logits, "hidden_states": (x, hidden)}


IMAGES = random(6, 3, 6, 6)
HOLES = (random(6, 1, 6, 6, seed=1) > 0).astype(np.float32)
IDS = np.random.default_rng(0).integers(0, 20, (6, 7))
MASK = np.random.default_rng(1).integers(0, 2, (6, 7))


@pytest.fixture
def small() -> torch.nn.Module:
    torch.manual_seed(0)
    module = Small()
    with torch.no_grad():
        for name, statistics in module.bn.named_buffers():
            if name.startswith("running"):
                statistics.uniform_(0.5, 2)
    return module


def expected_of(module: torch.nn.Module, *inputs: Any, **named: Any) -> Any:
    with torch.no_grad():
        tensors = {name: torch.from_numpy(value) for name, value in named.items()}
        return copy.deepcopy(module).eval()(*map(torch.from_numpy, inputs), **tensors)


def assert_same(network: Any, data: Any, expected: torch.Tensor, atol: float | None = None) -> Any:
    """The teacher behind a network, which gives what was expected for the data."""
    teacher, arrays, _ = opened(network, data)
    (found,) = Session(teacher.model).predict(arrays).values()
    if atol is None:
        assert_close(found, expected.numpy())
    else:
        np.testing.assert_allclose(found, expected.float().numpy(), rtol=0, atol=atol)
    return teacher


def weighted(teacher: Any) -> list[str]:
    return [name for name, affine in teacher.model.affines() if affine.weighted]


def free_program(module: torch.nn.Module) -> torch.export.ExportedProgram:
    batch = {0: torch.export.Dim("batch")}
    return torch.export.export(module.eval(), (torch.from_numpy(IMAGES),), dynamic_shapes=(batch,))


KINDS: dict[str, Callable[[torch.nn.Module], Any]] = {
    "scripted": torch.jit.script,
    "scripted in training mode": lambda m: torch.jit.script(m.train()),
    "traced": lambda m: torch.jit.trace(m.eval(), (torch.from_numpy(IMAGES),)),
    "compiled": torch.compile,
    "parallel": torch.nn.DataParallel,
    "program": lambda m: torch.export.export(m.eval(), (torch.from_numpy(IMAGES),)),
    "program with a free batch": free_program,
    "module of a program": lambda m: free_program(m).module(),
    "onnx program": lambda m: torch.onnx.export(
        m.eval(), (torch.from_numpy(IMAGES),), dynamo=True, verbose=False
    ),
}

CALLED = {
    "program": "ExportedProgram",
    "program with a free batch": "ExportedProgram",
    "module of a program": "GraphModule",
    "onnx program": "ModelProto",
}


@TORCHS_OWN_WARNINGS
@pytest.mark.parametrize("kind", KINDS)
def test_scripts_traces_programs_and_wrappers_are_exact_and_go_by_the_modules_names(small, kind):
    expected = expected_of(small, IMAGES)
    teacher = assert_same(KINDS[kind](small), IMAGES, expected)
    if kind != "onnx program":
        assert weighted(teacher) == ["conv", "head.0", "last"]
    assert str(teacher.path) == CALLED.get(kind, "Small")


@TORCHS_OWN_WARNINGS
@pytest.mark.parametrize("wrap", [torch.jit.script, lambda m: m], ids=["scripted", "module"])
def test_inputs_that_forward_may_go_without_are_inputs_where_there_are_data_for_them(small, wrap):
    """In forward's order, whatever that of the dict; the others have forward's own defaults."""
    expected = expected_of(small, x=IMAGES, mask=HOLES)
    teacher = assert_same(wrap(small), {"mask": HOLES, "x": IMAGES}, expected)
    assert [i.name for i in teacher.model.inputs] == ["x", "mask"]


@TORCHS_OWN_WARNINGS
def test_a_frozen_script_is_read_with_all_that_it_takes(small):
    plain = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
    x = random(4, 3)
    assert_same(torch.jit.freeze(torch.jit.script(plain)), x, expected_of(plain, x))
    with pytest.raises(UnsupportedError, match=r"all inputs that forward takes \(x, mask, scale\), got x: "):
        opened(torch.jit.freeze(torch.jit.script(small.eval())), IMAGES)


@TORCHS_OWN_WARNINGS
def test_a_script_keeps_its_own_mode(small):
    script = torch.jit.script(small.train())
    script.bn.eval()
    modes = {name: part.training for name, part in script.named_modules()}
    opened(script, IMAGES)
    assert {name: part.training for name, part in script.named_modules()} == modes
    assert modes[""]
    assert not modes["bn"]


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
def test_parameters_of_any_precision_are_exact_up_to_the_networks_own_rounding(small, dtype):
    module = small.to(dtype)
    expected = expected_of(module.double(), IMAGES.astype(np.float64))
    module.to(dtype)
    assert_same(module, IMAGES, expected, ROUNDING[dtype])
    assert all(p.dtype == dtype for p in module.parameters())


def test_a_module_and_data_of_half_precision_compress(small):
    result = compress(small.half(), torch.from_numpy(random(20, 3, 6, 6)).half(), Settings(0.4, tune=0))
    assert result.sparsity == pytest.approx(0.4, abs=0.02)
    assert [i.dtype for i in result.model.inputs] == ["float16"]


def test_examples_come_onto_the_device_of_the_parameters(small, monkeypatch):
    """A machine without another device sees where they are sent."""
    sent = []
    original = torch.Tensor.to

    def to(tensor, *arguments, **named):
        sent.extend(a for a in arguments if isinstance(a, torch.device))
        return original(tensor, *arguments, **named)

    monkeypatch.setattr(torch.Tensor, "to", to)
    opened(small, IMAGES)
    assert set(sent) == {small.conv.weight.device}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_parameters_and_data_may_be_on_a_gpu(small):
    expected = expected_of(small, IMAGES)
    small.cuda()
    assert_same(small, torch.from_numpy(IMAGES).cuda(), expected)
    assert all(p.is_cuda for p in small.parameters())


def test_tied_parameters_are_exact_and_each_use_goes_by_its_own_module():
    torch.manual_seed(0)
    module = Tied()
    teacher, arrays, notes = opened(module, {"input_ids": IDS, "attention_mask": MASK, "labels": IDS})
    assert notes == ("the data's labels were left out",)
    found, expected = Session(teacher.model).predict(arrays), expected_of(module, IDS, MASK)
    assert list(found) == ["logits", "hidden_states.0", "hidden_states.1"]
    for value, wanted in zip(found.values(), (expected["logits"], *expected["hidden_states"]), strict=True):
        assert_close(value, wanted.numpy())
    assert {"embed", "mix"} <= {name for name, _ in teacher.model.affines()}
    assert teacher.nodes["logits"] == ("head",)
    assert module.head.weight is module.embed.weight


def test_what_forward_took_the_result_takes_as_a_torch_module():
    torch.manual_seed(0)
    ids = np.random.default_rng(2).integers(0, 20, (40, 7))
    mask = (np.random.default_rng(3).random((40, 7)) < 0.8).astype(np.int64)
    loader = [
        {
            "attention_mask": torch.from_numpy(m),
            "input_ids": torch.from_numpy(i),
            "labels": torch.from_numpy(i),
        }
        for i, m in zip(np.split(ids, 5), np.split(mask, 5), strict=True)
    ]
    result = compress(Tied(), loader, Settings(0.3))
    assert "the data's labels were left out" in result.notes
    module = result.to_torch()
    expected = Session(result.model).predict({"input_ids": ids, "attention_mask": mask})
    batch = {key: value for key, value in loader[0].items() if key != "labels"}
    for outputs in (
        module(**batch),
        module(batch),
        module(ids[:8], mask[:8]),
        module(ids[:8], attention_mask=mask[:8] > 0),
    ):
        assert list(outputs) == ["logits", "hidden_states.0", "hidden_states.1"]
        for name, value in outputs.items():
            assert_close(value.detach().numpy(), expected[name][:8])
    assert module(ids[:0], mask[:0])["logits"].shape == (0, 7, 20)


class Bags(torch.nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bag = torch.nn.EmbeddingBag(20, 5, **options)
        self.out = torch.nn.Linear(5, 3)

    def forward(self, ids, weights=None):
        return self.out(self.bag(ids, per_sample_weights=weights))


@pytest.mark.parametrize(
    ("mode", "padding"), [("sum", None), ("mean", None), ("max", None), ("sum", 2), ("mean", 2), ("max", -1)]
)
def test_embedding_bags_are_read(mode, padding):
    module = Bags(mode=mode, padding_idx=padding)
    ids = IDS.copy()
    if padding is not None:
        ids[0, 2:] = padding % 20
        ids[1] = padding % 20
    teacher = assert_same(module, ids, expected_of(module, ids))
    assert weighted(teacher) == ["out"]
    assert {"bag"} <= {name.partition("/")[0] for name, _ in teacher.model.affines()}


@pytest.mark.parametrize(("mode", "padding"), [("sum", None), ("mean", 2), ("max", -1)])
def test_embedding_bags_of_an_exported_program_are_read(mode, padding):
    module, free = Bags(mode=mode, padding_idx=padding).eval(), {0: torch.export.Dim("samples")}
    ids = IDS.copy()
    ids[0, 2:] = ids[1] = 2 if padding == 2 else 19
    program = torch.export.export(module, (torch.from_numpy(ids),), dynamic_shapes={"ids": free})
    assert_same(program, ids, expected_of(module, ids))


def test_weights_of_the_entries_of_a_bag_are_an_input():
    module, weights = Bags(mode="sum"), random(6, 7)
    assert_same(module, {"ids": IDS, "weights": weights}, expected_of(module, IDS, weights))


class Offsets(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = torch.nn.EmbeddingBag(20, 5)

    def forward(self, ids, offsets):
        return self.bag(ids, offsets)


@pytest.mark.parametrize(
    ("module", "data", "message"),
    [
        (
            Offsets(),
            {"ids": IDS[0], "offsets": np.arange(7)},
            r"with offsets .* ids of shape \(samples, ids\)",
        ),
        (Bags(max_norm=1.0), IDS, "max_norm changes its weight"),
    ],
)
def test_bags_that_no_sample_has_for_itself_are_refused(module, data, message):
    with pytest.raises(UnsupportedError, match=message):
        opened(module, data)


@pytest.mark.parametrize(
    ("module", "data", "message"),
    [
        (
            Offsets(),
            {"ids": IDS[0], "offsets": np.arange(7)},
            r"with offsets .* ids of shape \(samples, ids\)",
        ),
        (Bags(max_norm=1.0), {"ids": IDS}, "max_norm changes its weight"),
    ],
)
def test_bags_of_a_program_that_no_sample_has_for_itself_are_refused(module, data, message):
    program = torch.export.export(module.eval(), tuple(map(torch.from_numpy, data.values())))
    with pytest.raises(UnsupportedError, match=message):
        opened(program, data)


class Merging(torch.nn.Module):
    """Merges a second matrix into its weight for evaluation, as adapters of low rank do."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(3, 2)
        self.more = torch.nn.Parameter(torch.ones(2, 3))
        self.norm = torch.nn.BatchNorm1d(2)

    def train(self, mode: bool = True):
        if mode != self.training:
            with torch.no_grad():
                self.fc.weight += self.more if not mode else -self.more
        super().train(mode)
        self.norm.training = False
        return self

    def forward(self, x):
        x = self.norm(self.fc(x))
        return x + x.new_zeros(1) if x.shape[-1] == 2 else x


def test_modes_are_put_back_by_the_modules_own_way_also_after_an_error():
    module = Merging().train()
    module.fc.eval()
    before = copy.deepcopy(module.state_dict())
    modes = [part.training for part in module.modules()]
    opened(module, random(4, 3))
    with pytest.raises(DataError, match="Merging: cannot be called with the calibration inputs"):
        opened(module, random(4, 5))
    assert [part.training for part in module.modules()] == modes
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name])


class Cached(torch.nn.Module):
    """As transformers' decoders: a cache, which no exporter reads, among the outputs."""

    class Config:
        use_cache = True

    def __init__(self) -> None:
        super().__init__()
        self.config = self.Config()
        self.fc = torch.nn.Linear(3, 2)

    def forward(self, x, use_cache=None):  # noqa: ARG002
        return {"y": self.fc(x), **({"cache": object()} if self.config.use_cache else {})}


def test_cached_keys_are_no_outputs_and_that_is_said():
    module = Cached()
    teacher, _, notes = opened(module, random(4, 3))
    assert [o.name for o in teacher.model.outputs] == ["y"]
    assert notes == ("the network was read with config.use_cache off: cached keys and values are no outputs",)
    assert module.config.use_cache is True


class Arguments(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


@pytest.mark.parametrize(
    "data", [IMAGES, {"x": IMAGES}, [(IMAGES, np.arange(6))]], ids=["array", "dict", "labels"]
)
def test_a_wrapper_that_takes_any_arguments_is_read(small, data):
    teacher = assert_same(Arguments(small), data, expected_of(small, IMAGES))
    assert weighted(teacher) == ["inner.conv", "inner.head.0", "inner.last"]


def test_one_sample_and_ids_without_a_sign_are_read():
    teacher, arrays, _ = opened(Tied(), IDS[:1].astype(np.uint16))
    assert [(i.name, i.shape, i.dtype) for i in teacher.model.inputs] == [("input_ids", (7,), "int64")]
    assert Session(teacher.model).predict(arrays)["logits"].shape == (1, 7, 20)


class Trains(torch.nn.Module):
    def __init__(self, part: torch.nn.Module) -> None:
        super().__init__()
        self.fc, self.part = torch.nn.Linear(3, 4), part

    def forward(self, x):
        return self.part(self.fc(x))


@TORCHS_OWN_WARNINGS
@pytest.mark.parametrize(
    "part", [torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4)], ids=["dropout", "batch norm"]
)
@pytest.mark.parametrize("decompose", [False, True])
def test_a_program_made_in_training_mode_is_refused(part, decompose):
    program = torch.export.export(Trains(part).train(), (torch.randn(3, 3),))
    program = program.run_decompositions() if decompose else program
    with pytest.raises(UnsupportedError, match=r"computes as in training: call module\.eval\(\) before"):
        opened(program, random(4, 3))


@TORCHS_OWN_WARNINGS
def test_an_instance_norm_of_a_program_does_not_train():
    program = torch.export.export(torch.nn.InstanceNorm1d(3).eval(), (torch.randn(4, 3, 6),))
    check_evaluates(program)
    check_evaluates(program.run_decompositions())


@pytest.mark.parametrize(
    ("network", "data", "error", "message"),
    [
        (
            lambda: Small().to("meta"),
            IMAGES,
            UnsupportedError,
            "'conv.weight' is on the meta device, without values",
        ),
        (lambda: torch.nn.LazyLinear(3), random(4, 3), UnsupportedError, "call the module once on a batch"),
        (Small, IMAGES[:, :2], DataError, r"x float32 \(samples, 2, 6, 6\)\): Given groups=1.* 3 channels"),
        (Small, (IMAGES * 20).astype(np.uint8), DataError, "x uint8 .*; give what forward takes"),
        (Small, IMAGES[:0], DataError, "the calibration data hold no samples"),
        (Small, 3.0, DataError, "input 'x': expected an array or tensor .*got a single value"),
        (Small, np.array(["a", "b"]), DataError, "input 'x': expected numbers, got dtype <U1"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(network, data, error, message):
    with pytest.raises(error, match=message) as caught:
        opened(network(), data)
    assert "\n" not in str(caught.value)


def test_sizes_of_inputs_are_those_of_the_data(small):
    with pytest.raises(InputError, match="leave input_shapes out"):
        compress(small, IMAGES, Settings(0.5), input_shapes={"x": (1, 3, 6, 6)})
