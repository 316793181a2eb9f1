"""Channels through maps, and models without some of them."""

import numpy as np
import pytest
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.errors import InputError
from sim_compress.model import (
    Affine,
    AlongAxis,
    ImplicitModel,
    Input,
    Lookup,
    Offset,
    Output,
    Pad,
    Reshape,
    Scale,
    Slice,
    StateBlock,
    Sum,
    Term,
    Transpose,
    narrowed,
    picking,
)
from sim_compress.model.channels import Numbered, numbered
from sim_compress.runtime import Session
from tests.networks import bias, patches, weight

START = Numbered((4, 6, 6), 0, np.arange(4))
HALVED = AlongAxis(1, sparse.csr_array(np.repeat(np.eye(3), 2, axis=1).astype(np.float32) / 2))


@pytest.mark.parametrize(
    ("maps", "axis", "numbers"),
    [
        ((patches(3, 1, 1),), 0, np.repeat(range(4), 9)),
        ((Reshape((144,)),), 0, np.repeat(range(4), 36)),
        ((Transpose((1, 2, 0)), Reshape((36, 4))), 1, range(4)),
        ((Transpose((1, 2, 0)), Reshape((144,))), 0, np.tile(range(4), 36)),
        ((Slice((3, 0, 0), (4, 3, 3), (-1, 2, 2)),), 0, [3, 2, 1, 0]),
        ((Sum((1, 2)), Scale(np.array([1.0, 2.0, 3.0, 4.0]))), 0, range(4)),
        ((Transpose((1, 0, 2)), Sum((0,)), Offset(np.ones(1))), 0, range(4)),
        ((HALVED,), 0, range(4)),
        ((picking(0, [2, 2, 0], 4),), 0, [2, 2, 0]),
        ((patches(3, 3), Reshape((4, 9, 2, 2)), Sum((1,))), 0, range(4)),
    ],
)
def test_channels_are_followed_through_maps(maps, axis, numbers):
    stages = numbered(maps, START)
    assert stages is not None
    assert stages[-1].axis == axis
    np.testing.assert_array_equal(stages[-1].numbers, list(numbers))


def test_places_that_a_map_adds_belong_to_no_channel():
    stages = numbered((Pad((1, 0, 0), (2, 1, 1)),), START)
    assert stages is not None
    added = np.flatnonzero(stages[-1].numbers < 0)
    np.testing.assert_array_equal(added, [0, 5, 6])
    assert len(set(stages[-1].numbers)) == 7


@pytest.mark.parametrize(
    "maps",
    [
        (Reshape((2, 2, 36)),),
        (Sum((0,)),),
        (AlongAxis(0, sparse.csr_array(np.ones((2, 4), np.float32))),),
        (Transpose((1, 2, 0)), Reshape((36, 2, 2))),
        (Lookup(np.ones((3, 2), np.float32)),),
    ],
)
def test_maps_that_mix_channels_are_told(maps):
    assert numbered(maps, START) is None


def network() -> ImplicitModel:
    """Maps of every kind between a first state of 4 channels, one it is added to, and two outputs."""
    slopes = np.linspace(0.1, 0.4, 4).reshape(4, 1, 1)
    first = Affine((4, 6, 6), (Term("u", (patches(3, 1, 1),), weight(4, 18)),), bias(4))
    scaled = (Slice((0, 0, 0), (4, 3, 3), (1, 2, 2)), Scale(slopes), Pad((1, 0, 0), (1, 0, 0)))
    second = Affine(
        (6, 3, 3), (Term("a", (patches(3, 2, 1),), weight(6, 36, 1.0)), Term("a", scaled)), bias(6)
    )
    pool = Affine((6, 3, 3), (Term("b", (Offset(np.arange(6.0).reshape(6, 1, 1)),)),))
    size = {
        "kernel": (2, 2),
        "strides": (1, 1),
        "dilations": (1, 1),
        "pads_begin": (0, 0),
        "pads_end": (0, 0),
    }
    tokens = (Transpose((1, 2, 0)), Reshape((4, 6)), Transpose((1, 0)))
    picks = (picking(0, [5, 4, 3, 2, 1, 0, -1], 6), Sum((1, 2)), Offset(np.arange(7.0)))
    read = Affine((5, 4), (Term("p", tokens, weight(5, 6, 1.0)),), bias(5))
    return ImplicitModel(
        (Input("u", (2, 6, 6)),),
        (
            StateBlock("a", first, Activation("prelu", {"slopes": slopes})),
            StateBlock("b", second, Activation("relu")),
            StateBlock("p", pool, Activation("max_pool", size)),
        ),
        (Output("read", read), Output("sums", Affine((3,), (Term("b", picks, weight(3, 7, 1.0)),), bias(3)))),
    )


KEPT = {
    "a": np.array([True, False, True, True]),
    "b": np.array([True, True, False, True, True, False]),
    "p": np.array([True, True, False, True, True, False]),
}


def unread(model: ImplicitModel) -> ImplicitModel:
    """The network with zeros where its rows read channels outside KEPT."""
    columns = {"a": np.repeat(KEPT["a"], 9), "p": KEPT["p"], "b": np.append(KEPT["b"][::-1], True)}

    def affine(own: Affine) -> Affine:
        terms = tuple(
            t
            if t.weight is None or t.source == "u"
            else Term(t.source, t.maps, sparse.csr_array(t.weight.toarray() * columns[t.source]))
            for t in own.terms
        )
        return Affine(own.shape, terms, own.bias, own.row_axis)

    return ImplicitModel(
        model.inputs,
        tuple(StateBlock(b.name, affine(b.affine), b.phi) for b in model.blocks),
        tuple(Output(o.name, affine(o.affine)) for o in model.outputs),
    )


def test_a_narrowed_model_has_smaller_states_and_the_same_outputs():
    whole = unread(network())
    small = narrowed(whole, KEPT)
    assert [b.shape for b in small.blocks] == [(3, 6, 6), (4, 3, 3), (4, 2, 2)]
    u = np.random.default_rng(0).standard_normal((5, 2, 6, 6)).astype(np.float32)
    ours, theirs = Session(small).predict({"u": u}), Session(whole).predict({"u": u})
    for name, y in theirs.items():
        np.testing.assert_allclose(ours[name], y, rtol=1e-4, atol=1e-5)


def test_channels_that_are_still_read_do_not_leave():
    with pytest.raises(InputError, match="still reads channels of 'a'"):
        narrowed(network(), KEPT)


def test_a_state_keeps_the_channels_of_those_it_adds():
    with pytest.raises(InputError, match="'b' keeps other channels than 'a'"):
        narrowed(unread(network()), {**KEPT, "b": np.array([True, False, True, True, True, False])})
