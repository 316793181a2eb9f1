"""Rows that several blocks share are stored once and named elsewhere; names that break a rule are refused."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.activations import Activation
from sim_compress.artifact import limits, listing, read, sizes
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term, rounded
from tools.read_artifact import read as read_by_the_page

from .breaking import Change, Rule, both, cases, field, refusal_after
from .crafting import Crafted, encoded, header_of
from .models import column, same, weights

SECOND, THIRD = "blocks.1.terms.0.weight", "blocks.2.terms.0.weight"


def unrolled(steps: int = 3) -> ImplicitModel:
    """Steps on the rows of the first, then scores with a bias of their own."""
    W, b = weights(6, 6, 0.7), column(6)
    blocks = tuple(
        StateBlock(f"h{i}", Affine((6,), (Term(f"h{i - 1}" if i else "u", (), W),), b), Activation("tanh"))
        for i in range(steps)
    )
    scores = Affine((4,), (Term(f"h{steps - 1}", (), weights(4, 6, 0.5, seed=1)),), column(4, seed=1))
    return ImplicitModel((Input("u", (6,)),), blocks, (Output("y", scores),))


@pytest.mark.parametrize("shared", [False, True], ids=["apart", "joined"])
def test_rows_are_stored_once_and_are_the_same_arrays_again(shared: bool, tmp_path: Path) -> None:
    model, path = unrolled(), tmp_path / "m.safetensors"
    crafted = Crafted.of(model, shared)
    path.write_bytes(crafted.bytes())
    found = read(path).model
    assert same(found, model)
    assert found.uses("h0") == ("h0", "h1", "h2")
    assert {n.split(".")[1] for n in crafted.tensors if n[0] in "ABCD"} == {"0", "3"}
    matrices = read_by_the_page(path).matrices
    assert all(np.array_equal(matrices[n].toarray(), matrices["B.0.0"].toarray()) for n in ("A.1.0", "A.2.0"))
    biases = read_by_the_page(path).biases
    assert all(np.array_equal(biases[f"bias.{i}"], column(6)) for i in range(3))
    assert np.array_equal(biases["bias.3"], column(4, seed=1))


def test_more_uses_cost_next_to_nothing() -> None:
    few, many = (len(encoded(unrolled(steps))) for steps in (3, 30))
    assert many < few + 27 * 40
    assert sizes(unrolled(3)) == sizes(unrolled(30))


def test_a_file_without_shared_rows_needs_nothing() -> None:
    assert "needs" not in header_of(encoded(unrolled(1)))["__metadata__"]["sim_compress"]
    assert '"needs":["shared"]' in header_of(encoded(unrolled()))["__metadata__"]["sim_compress"]


def test_each_matrix_is_listed_once(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(encoded(unrolled()))
    listed = [item.name for item in listing(read(path)) if item.block]
    assert listed == ["B.0.0", "bias.0", "C.3.0", "bias.3"]


def test_rounding_keeps_them_shared() -> None:
    model = rounded(unrolled(), "float16", {"h0": (np.ones(6),)})
    assert model.uses("h0") == ("h0", "h1", "h2")


def without_the_word(crafted: Crafted) -> None:
    crafted.needs = ()


RULES: list[Rule] = [
    (
        "unknown name",
        field(SECOND, "A.7.0"),
        "weight: expected the name of a matrix or bias before it, found",
    ),
    ("name of its own", field(SECOND, "A.1.0"), "weight: expected the name of a matrix or bias before it"),
    ("name of a later block", field(SECOND, "C.3.0"), "expected the name of a matrix or bias before it"),
    ("name of a name", field(THIRD, "A.1.0"), "weight: expected the name of a matrix or bias before it"),
    ("name of a bias", field(SECOND, "bias.0"), "weight: expected the name of a matrix or bias before it"),
    (
        "matrix of other rows",
        field("outputs.0.terms.0.weight", "B.0.0"),
        "expected the name of a matrix of 4 rows",
    ),
    (
        "unknown bias",
        field("blocks.1.bias", "bias.7"),
        "bias: expected the name of a matrix or bias before it",
    ),
    ("later bias", field("blocks.1.bias", "bias.3"), "bias: expected the name of a matrix or bias before it"),
    (
        "bias of a name",
        field("blocks.2.bias", "bias.1"),
        "bias: expected the name of a matrix or bias before",
    ),
    ("bias of other rows", field("outputs.0.bias", "bias.0"), "bias: expected the bias of 4 rows"),
    ("without the word", without_the_word, "bias: expected true or false, found 'bias.0'"),
]


@cases(RULES)
def test_a_wrong_name_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, unrolled(), tmp_path)


def test_a_matrix_of_other_columns_is_refused(tmp_path: Path) -> None:
    wide = Affine((6,), (Term("h2", (), weights(6, 6, 0.5)),))
    model = unrolled()
    model = ImplicitModel((*model.inputs, Input("v", (9,))), model.blocks, (Output("y", wide),))
    change = both(field("outputs.0.terms.0.source", "v"), field("outputs.0.terms.0.weight", "B.0.0"))
    assert "weight (6, 6) on features (9,)" in refusal_after(change, model, tmp_path)


def test_matrices_are_named_so_often_as_the_file_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim_compress.artifact.store.USED_AGAIN", 10)
    monkeypatch.setattr("sim_compress.artifact.store.USED_AGAIN_PER_BYTE", 0)
    said = refusal_after(lambda _: None, unrolled(), tmp_path)
    assert "expected at most 10 nonzeros in all further uses of matrices" in said
    assert limits.USED_AGAIN == 2**24
