"""Calibration inputs as torch users hold them: what of a batch a module is given, and what is left out."""

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from sim_compress.compression.calibration.batches import LOADER_SAMPLES, gathered
from sim_compress.errors import DataError
from sim_compress.frontend import module_signature
from tests.frontend.graphs import random

pytest.importorskip("torch", reason="torch is not installed")

import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

LABELS_OUT = "the last 1 of 2 entries of every batch (labels) were left out"


class Images(torch.nn.Module):
    def forward(self, images): ...


class Text(torch.nn.Module):
    """As transformers' models: everything may be left out, labels are for the loss."""

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, labels=None, **kwargs): ...


class Two(torch.nn.Module):
    def forward(self, left, right, mask=None, scale: float = 1.0): ...


class Masked(torch.nn.Module):
    def forward(self, x, mask=None): ...


class Wrapper(torch.nn.Module):
    def forward(self, *args, **kwargs): ...


class Several(torch.nn.Module):
    def forward(self, *xs): ...


X, Y = torch.from_numpy(random(10, 3, 4, 4)), torch.arange(10)
IDS = torch.from_numpy(np.random.default_rng(0).integers(2, 30, (10, 7)))
MASK = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (10, 7)))
SEGMENTS = torch.from_numpy(np.random.default_rng(2).integers(0, 3, (10, 7)))
Pair = namedtuple("Pair", ["images", "labels"])


def read(module: torch.nn.Module, data: Any) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    return gathered(module_signature(module), data)


def assert_read(module: torch.nn.Module, data: Any, notes: tuple[str, ...] = (), **expected: Any) -> None:
    found, said = read(module, data)
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    assert said == notes


@pytest.mark.parametrize(
    "data",
    [
        X,
        X.numpy(),
        X.clone().requires_grad_(),
        {"images": X},
        [X],
        [X[:5], X[5:]],
        (X[:5], X[5:]),
        [X[:8], X[8:].numpy()],
        [(X[:5],), (X[5:],)],
        [{"images": X[:5]}, {"images": X[5:]}],
        DataLoader(TensorDataset(X), batch_size=4),
        (batch for batch in X.split(4)),
        iter([X]),
        X.tolist(),
    ],
    ids=lambda data: type(data).__name__,
)
def test_a_tensor_an_array_batches_in_a_list_or_tuple_a_loader_and_a_generator_are_the_same(data):
    assert_read(Images(), data, images=X.numpy())


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X, Y],
        [(X[:5], Y[:5]), (X[5:], Y[5:])],
        [[X[:5], Y[:5]], [X[5:], Y[5:]]],
        [({"images": X}, Y)],
        [((X,), Y)],
        [Pair(X, Y)],
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), batch_size=4),
    ],
    ids=lambda data: type(data).__name__,
)
def test_labels_behind_the_inputs_are_left_out_and_said(data):
    assert_read(Images(), data, (LABELS_OUT,), images=X.numpy())


def test_a_list_of_equal_batches_is_batches_and_not_samples():
    batches = list(X.split(5))
    assert_read(Images(), batches, images=X.numpy())
    assert_read(Text(), [IDS, SEGMENTS], input_ids=torch.cat([IDS, SEGMENTS]))
    # Truth values are batches beside others.
    assert_read(Text(), [MASK, MASK], input_ids=torch.cat([MASK, MASK]))
    assert_read(Masked(), [X[:, 0, 0], MASK[:, :4]], x=torch.cat([X[:, 0, 0], MASK[:, :4]]))


def test_ids_and_their_mask_are_one_batch_as_a_loader_gives_it():
    for data in ([IDS, MASK], (IDS, MASK), next(iter(DataLoader(TensorDataset(IDS, MASK), batch_size=10)))):
        assert_read(Text(), data, input_ids=IDS, attention_mask=MASK)
    assert_read(
        Text(),
        [IDS, MASK, Y],
        ("the last 1 of 3 entries of every batch (labels) were left out",),
        input_ids=IDS,
        attention_mask=MASK,
    )


@pytest.mark.parametrize(
    "form", [lambda b: b, lambda b: [b], lambda b: iter([b])], ids=["one", "list", "iterator"]
)
def test_of_a_dict_masks_are_taken_and_labels_left_out_though_forward_takes_them(form):
    batch = {
        "input_ids": IDS,
        "labels": Y,
        "attention_mask": MASK,
        "text": ["a"] * 10,
        "token_type_ids": None,
    }
    found, notes = read(Text(), form(batch))
    assert {name: value.tolist() for name, value in found.items()} == {
        "input_ids": IDS.tolist(),
        "attention_mask": MASK.tolist(),
    }
    (note,) = notes
    assert note.endswith("labels, text were left out")


@pytest.mark.parametrize(
    ("entries", "taken", "left"),
    [
        ((IDS, MASK), ["input_ids", "attention_mask"], 0),
        ((IDS, MASK.bool()), ["input_ids", "attention_mask"], 0),
        ((IDS, MASK, SEGMENTS, Y), ["input_ids", "attention_mask", "token_type_ids"], 1),
        ((IDS, MASK, Y), ["input_ids", "attention_mask"], 1),
        ((IDS, Y), ["input_ids"], 1),
        # The next tokens, as language models are trained on, are no mask.
        ((IDS, IDS.roll(-1, 1)), ["input_ids"], 1),
    ],
)
def test_entries_of_a_tuple_are_masks_and_ids_as_far_as_they_look_so(entries, taken, left):
    found, notes = read(Text(), [entries])
    assert list(found) == taken
    for name, entry in zip(taken, entries, strict=False):
        np.testing.assert_array_equal(found[name], entry)
    said = f"the last {left} of {len(entries)} entries of every batch (labels) were left out"
    assert notes == ((said,) if left else ())


@pytest.mark.parametrize(
    "labels", [Y % 2, torch.eye(3)[Y % 3], torch.ones(10, 4, 4)], ids=["class", "one-hot", "pixels"]
)
def test_labels_of_images_are_no_mask(labels):
    assert_read(Masked(), [(X, labels)], (LABELS_OUT,), x=X.numpy())


def test_several_inputs_come_in_the_order_of_forward():
    left, right = X[:, 0, 0], X[:, 1, 1]
    for data in ((left, right), [(left, right)], DataLoader(TensorDataset(left, right), batch_size=4)):
        assert_read(Two(), data, left=left, right=right)
    assert_read(
        Two(),
        [(left[:5], right[:5], Y[:5]), (left[5:], right[5:], Y[5:])],
        ("the last 1 of 3 entries of every batch (labels) were left out",),
        left=left,
        right=right,
    )


def test_a_forward_of_any_arguments_takes_tensors_and_every_key_but_labels():
    for data in (X, [X[:5], X[5:]], [(X, Y)]):
        found, _ = read(Several(), data)
        np.testing.assert_array_equal(found["xs_0"], X)
    assert_read(Wrapper(), X, args_0=X.numpy())
    assert_read(
        Wrapper(), {"x": X, "labels": Y, "mask": MASK}, ("the data's labels were left out",), x=X, mask=MASK
    )


def test_bfloat16_comes_as_float32_and_half_as_half():
    assert read(Images(), X.bfloat16())[0]["images"].dtype == np.float32
    assert read(Images(), [X.half()])[0]["images"].dtype == np.float16


class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield X[0], 0


def test_a_data_set_without_end_is_read_as_far_as_needed():
    found, notes = read(Images(), Endless())
    assert found["images"].shape == (LOADER_SAMPLES, 3, 4, 4)
    assert notes == (LABELS_OUT, f"the first {LOADER_SAMPLES} samples of the loader were taken")


@pytest.mark.parametrize(
    ("module", "data", "message"),
    [
        (Images(), [], "the list is empty"),
        (Images(), (x for x in ()), "the calibration loader gives no samples"),
        (
            Images(),
            "images.npz",
            r"expected calibration inputs as arrays or tensors \(samples, ...\), .*got str",
        ),
        (Images(), None, "got NoneType"),
        (Images(), [[1, 2], [3]], "numpy makes no array"),
        (Images(), {"pictures": X}, r"expected the inputs \['images'\], got \['pictures'\]"),
        (Images(), [X[:, :2], X], r"have the shape \(2, 4, 4\), of another \(3, 4, 4\): give all one shape"),
        (
            Images(),
            [{"images": 3.0}],
            r"'images': expected an array or tensor \(samples, ...\), got a single",
        ),
        (Images(), ["a", "b"], "got a single value"),
        (Text(), [{"labels": Y}], "none of the inputs input_ids, attention_mask, token_type_ids"),
        (
            Text(),
            [{"input_ids": IDS}, {"input_ids": IDS, "attention_mask": MASK}],
            "give every batch the same",
        ),
        (Text(), {"input_ids": IDS, "attention_mask": MASK[:3]}, "differ in their number of samples"),
        (Text(), [IDS[:, :5], IDS], "texts padded to one length"),
        (Two(), X, "the network has the inputs left, right: pass a dict"),
        (Two(), [(X,)], "a batch has 1 entries, the network the inputs left, right"),
        (Two(), iter([{"left": X}]), "but not the input 'right'"),
        (Images(), X.to_sparse(), "dense tensor"),
    ],
)
def test_what_cannot_be_inputs_is_refused(module, data, message):
    with pytest.raises(DataError, match=message):
        read(module, data)
