"""Every map has an exporter, and its nodes do what it does."""

import numpy as np
import pytest

from sim_compress.export.maps import MAP_NODES
from sim_compress.model import (
    MAPS,
    Affine,
    AlongAxis,
    ImplicitModel,
    Input,
    LinearMap,
    Lookup,
    Offset,
    Output,
    Pad,
    Patches,
    Reshape,
    Scale,
    Slice,
    Sum,
    Term,
    Transpose,
    chain_shape,
    picking,
)
from tests.export.test_network import assert_same, operators
from tests.frontend.graphs import random
from tests.networks import bias, patches, weight

SHAPE = (2, 5, 6)
CHAINS: dict[str, tuple[LinearMap, ...]] = {
    "reshape": (Reshape((10, 6)),),
    "transpose": (Transpose((2, 0, 1)),),
    "slice": (Slice((1, 0, 2), (1, 3, 2), (1, 2, 1)),),
    "slice backwards": (Slice((1, 4, 5), (2, 5, 3), (-1, -1, -2)),),
    "pad": (Pad((0, 1, 2), (1, 0, 3)),),
    "patches": (Patches((2, 3), (2, 1), (1, 2), (1, 0), (0, 2)),),
    "patches of a line": (Reshape((2, 30)), Patches((4,), (3,), (2,), (3,), (1,))),
    "sum": (Sum((0, 2)),),
    "scale": (Scale(np.arange(6.0)),),
    "offset": (Offset(np.arange(10.0).reshape(2, 5, 1)),),
    "average": (patches(3, 2, 1), Reshape((2, 9, 3, 3)), Sum((1,)), Scale(np.array(1 / 9))),
    "average of what is there": (
        patches(2, 2),
        Reshape((2, 4, 2, 3)),
        Sum((1,)),
        Scale(np.full((2, 3), 0.3)),
    ),
    "average with wide padding": (patches(1, 2, 1), Reshape((2, 1, 4, 4)), Sum((1,)), Scale(np.array(1.0))),
    "picked": (picking(1, [4, 0, 0, 2], 5),),
    "picked with zeros": (picking(0, [-1, 1, -1], 2),),
    "interpolated": (AlongAxis(2, weight(9, 6)),),
    "interpolated across": (AlongAxis(1, weight(3, 5)),),
    "interpolated from the first": (AlongAxis(0, weight(3, 2)),),
    "a scalar reshaped twice": (Sum((0, 1, 2)), Reshape((1,)), Reshape((1,))),
    "several reshapes": (Reshape((60,)), Reshape((4, 15)), Reshape(SHAPE)),
}


def test_a_lookup_becomes_a_gather():
    maps = (Lookup(random(7, 3)), Transpose((1, 0)))
    model = ImplicitModel(
        (Input("ids", (4,), "int64"),), (), (Output("y", Affine((3, 4), (Term("ids", maps),))),)
    )
    ids = np.random.default_rng(0).integers(-7, 7, (5, 4))
    assert "Gather" in operators(assert_same(model, {"ids": ids}))


def test_every_map_has_an_exporter():
    assert set(MAP_NODES) == set(MAPS)


@pytest.mark.parametrize("maps", CHAINS.values(), ids=CHAINS.keys())
def test_a_chain_of_maps_gives_what_it_gives_in_the_runtime(maps):
    affine = Affine(chain_shape(maps, SHAPE), (Term("u", maps),))
    assert_same(ImplicitModel((Input("u", SHAPE),), (), (Output("y", affine),)))


@pytest.mark.parametrize(
    ("maps", "row_axis", "node"),
    [
        ((patches(3, 1, 1),), 0, "Conv"),
        ((Reshape((60,)),), 0, "Gemm"),
        ((Transpose((2, 0, 1)),), 2, "MatMul"),
        ((Transpose((1, 0, 2)),), 1, "MatMul"),
        ((), 0, "MatMul"),
        ((patches(3, 1, 1),), 2, "MatMul"),
        ((Transpose((2, 1, 0)),), 1, "MatMul"),
    ],
)
def test_rows_become_the_node_they_came_from(maps, row_axis, node):
    features = chain_shape(maps, SHAPE)
    shape = list(features[1:])
    shape.insert(row_axis, 3)
    affine = Affine(tuple(shape), (Term("u", maps, weight(3, features[0])),), bias(3), row_axis)
    graph = assert_same(ImplicitModel((Input("u", SHAPE),), (), (Output("y", affine),)))
    assert node in operators(graph)


def test_terms_that_lie_side_by_side_become_one_concatenation():
    terms = (
        Term("u", (Pad((0, 0, 0), (4, 0, 0)),)),
        Term("v", (Scale(np.array(2.0)), Pad((2, 0, 0), (2, 0, 0)))),
        Term("u", (Pad((4, 0, 0), (0, 0, 0)), Offset(np.arange(6.0)))),
    )
    model = ImplicitModel(
        (Input("u", SHAPE), Input("v", SHAPE)), (), (Output("y", Affine((6, 5, 6), terms)),)
    )
    assert "Concat" in operators(assert_same(model))


def test_terms_that_overlap_are_added():
    terms = (Term("u", (Pad((0, 0, 0), (1, 0, 0)),)), Term("u", (Pad((1, 0, 0), (0, 0, 0)),)))
    model = ImplicitModel((Input("u", SHAPE),), (), (Output("y", Affine((3, 5, 6), terms)),))
    assert "Concat" not in operators(assert_same(model))


def test_a_term_without_weights_left_is_dropped():
    empty = weight(3, 60)
    empty.data[:] = 0
    empty.eliminate_zeros()
    terms = (Term("u", (Reshape((60,)),), empty), Term("u", (Reshape((60,)),), weight(3, 60)))
    model = ImplicitModel((Input("u", SHAPE),), (), (Output("y", Affine((3,), terms)),))
    assert operators(assert_same(model)).count("Gemm") == 1
