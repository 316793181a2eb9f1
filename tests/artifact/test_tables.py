"""A table of ids that is a matrix is stored once, with the rows it shares; what breaks a rule is refused."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.activations import IDENTITY, Activation
from sim_compress.artifact import listing, read, sizes
from sim_compress.model import Affine, ImplicitModel, Input, Lookup, Output, StateBlock, Sum, Term, Transpose
from tools.read_artifact import read as read_by_the_page

from .breaking import Change, Rule, both, cases, field, no_field, refusal_after
from .crafting import Crafted, encoded, header_of
from .models import embeddings, same, weights

TABLE = "B.0.0.maps.0.table"
PLACE = "blocks.0.terms.0.maps.0.table"


@pytest.mark.parametrize("shared", [False, True], ids=["apart", "joined"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_table_is_stored_once_and_is_the_same_array_again(tied: bool, shared: bool, tmp_path: Path) -> None:
    model, path = embeddings(tied), tmp_path / "m.safetensors"
    crafted = Crafted.of(model, shared)
    path.write_bytes(crafted.bytes())
    found = read(path).model
    assert same(found, model)
    assert found.readers == model.readers == ({"y": ("h",)} if tied else {})
    stored = {n.removesuffix(f".{p}") for n in crafted.tensors for p in ("values", "exponents", "support")}
    assert {n for n in stored if n in (TABLE, "C.1.0")} == ({TABLE} if tied else {TABLE, "C.1.0"})
    matrices = read_by_the_page(path).matrices
    (block,) = found.blocks
    assert np.array_equal(matrices[TABLE].toarray(), block.affine.lookups[0].dense_rows())
    assert np.array_equal(matrices["C.1.0"].toarray(), found.outputs[0].affine.weights[0].toarray())


def test_a_file_says_what_it_needs() -> None:
    def head(model: ImplicitModel) -> str:
        return header_of(encoded(model))["__metadata__"]["sim_compress"]

    assert '"needs":["shared","tables"]' in head(embeddings())
    assert '"needs":["tables"]' in head(embeddings(tied=False))


def test_each_matrix_is_listed_once(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(encoded(embeddings()))
    assert [item.name for item in listing(read(path)) if item.block] == [TABLE, "bias.1"]
    assert sizes(embeddings()).values_plain == 4 * embeddings().nnz


def test_two_lookups_and_rows_are_one_matrix(tmp_path: Path) -> None:
    model = embeddings()
    (block,) = model.blocks
    other = StateBlock(
        "g", Affine((6, 3), (Term("ids", (block.affine.lookups[0], Transpose((1, 0)))),)), block.phi
    )
    model = ImplicitModel(model.inputs, (block, other), model.outputs)
    path = tmp_path / "m.safetensors"
    path.write_bytes(encoded(model))
    found = read(path).model
    assert same(found, model)
    assert found.readers == {"y": ("h", "g")}


def test_rows_in_groups_are_no_table_and_keep_their_groups(tmp_path: Path) -> None:
    W = weights(4, 4, 1.0, groups=2)
    lookup = Term("ids", (Lookup(W), Sum((0,))))
    output = Output("y", Affine((4,), (lookup, Term("u", (), W, 2), Term("u", (), W))))
    model = ImplicitModel((Input("ids", (3,), "int64"), Input("u", (4,))), (), (output,))
    path = tmp_path / "m.safetensors"
    path.write_bytes(encoded(model))
    found = read(path).model
    assert same(found, model)
    assert [t.groups for t in found.outputs[0].affine.weighted] == [2, 1]


def without_the_word(crafted: Crafted) -> None:
    crafted.needs = ("shared",)


RULES: list[Rule] = [
    ("no object", field(PLACE, 7.0), "a table of shape ()"),
    ("without the word", without_the_word, "table: expected the name of a tensor"),
    ("no tensor", no_field(PLACE, "tensor"), "table: expected the key 'tensor'"),
    ("unknown key", field(f"{PLACE}.groups", 1), "table: unknown key 'groups'"),
    (
        "unknown name",
        both(no_field(PLACE, "weight"), field(f"{PLACE}.tensor", "A.7.0")),
        "table.tensor: expected the name of a matrix or bias before it, found 'A.7.0'",
    ),
    (
        "later matrix",
        both(no_field(PLACE, "weight"), field(f"{PLACE}.tensor", "C.1.0")),
        "table.tensor: expected the name of a matrix or bias before it",
    ),
    (
        "more columns",
        field(f"{PLACE}.weight.shape", [12, 7]),
        "term from 'ids' has shape (7,), the block (6,)",
    ),
]


@cases(RULES)
def test_a_wrong_table_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, embeddings(), tmp_path)


def test_a_table_in_groups_is_refused(tmp_path: Path) -> None:
    W = weights(12, 6, 1.0, groups=2)
    affine = Affine((12,), (Term("u", (), W, 2),))
    model = ImplicitModel(
        (Input("u", (6,)), Input("ids", (3,), "int64")),
        (StateBlock("h", affine, Activation(IDENTITY)),),
        (Output("y", Affine((6,), (Term("ids", (Lookup(weights(12, 6, 0.5)), Sum((0,)))),))),),
    )
    place = "outputs.0.terms.0.maps.0.table"
    change = both(no_field(place, "weight"), field(f"{place}.tensor", "B.0.0"))
    assert "table: expected a matrix of one group" in refusal_after(change, model, tmp_path)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    model = embeddings(tied=False)
    (block,) = model.blocks
    empty = weights(12, 6, 0.0)
    lookups = tuple(Term("ids", (Lookup(t), Sum((0,)))) for t in (empty, empty.copy()))
    block = StateBlock("h", Affine((6,), lookups), block.phi)
    model = ImplicitModel(model.inputs, (block,), model.outputs)
    change = field("blocks.0.terms.1.maps.0.table.tensor", TABLE)
    assert "table.tensor: expected a name that no matrix before it has" in refusal_after(
        change, model, tmp_path
    )


def test_tables_are_named_so_often_as_the_file_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim_compress.artifact.store.USED_AGAIN", 10)
    monkeypatch.setattr("sim_compress.artifact.store.USED_AGAIN_PER_BYTE", 0)
    said = refusal_after(lambda _: None, embeddings(), tmp_path)
    assert "expected at most 10 nonzeros in all further uses of matrices" in said
