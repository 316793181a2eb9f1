"""What is left alone and what has its own target, by patterns on names."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sim_compress import Settings, compress
from sim_compress.activations import Activation
from sim_compress.compression import parts
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:64]


@pytest.fixture(scope="module")
def names(teacher) -> list[str]:
    """Blocks and outputs with parameters."""
    return [name for name, affine in teacher.model.affines() if affine.weighted]


def rows(model: ImplicitModel, name: str) -> np.ndarray:
    affine = dict(model.affines())[name]
    assert affine.bias is not None
    return np.hstack([affine.weights[0].toarray(), affine.bias[:, None]])


@pytest.mark.parametrize("states", ["regenerated", "baseline"])
def test_an_ignored_block_keeps_the_teachers_rows_to_the_bit(teacher, images, names, states):
    result = compress(teacher, images, Settings(0.5, ignore=(names[0],), states=states))
    np.testing.assert_array_equal(rows(result.model, names[0]), rows(teacher.model, names[0]))
    before, after = (
        sum(a.nnz for n, a in m.affines() if n != names[0]) for m in (teacher.model, result.model)
    )
    assert 1 - after / before == pytest.approx(0.5, abs=0.001) == result.sparsity
    assert result.total_sparsity == 1 - result.model.nnz / teacher.model.nnz < 0.4
    assert result.provenance["total_sparsity"] == result.total_sparsity


def test_only_compresses_what_is_named(teacher, images, names):
    result = compress(teacher, images, Settings(0.5, only=(names[1],)))
    changed = [n for n in names if (rows(result.model, n) != rows(teacher.model, n)).any()]
    assert changed == [names[1]]


def test_a_pattern_has_its_own_target(teacher, images, names):
    result = compress(teacher, images, Settings(0.6, targets={names[1]: 0.2}))
    own = {n: 1 - a.nnz / dict(teacher.model.affines())[n].nnz for n, a in result.model.affines()}
    assert own[names[1]] == pytest.approx(0.2, abs=0.001)
    rest = [n for n in names if n != names[1]]
    before, after = (sum(a.nnz for n, a in m.affines() if n in rest) for m in (teacher.model, result.model))
    assert 1 - after / before == pytest.approx(0.6, abs=0.001)


def test_the_last_of_several_targets_counts(teacher, names):
    settings = Settings(0.6, targets={".*": 0.3, names[0]: 0.2})
    found = {n: p.target for p in parts(teacher.model, teacher.nodes, settings) for n in p.names}
    assert found == dict.fromkeys(names, 0.3) | {names[0]: 0.2}


def test_a_block_goes_by_the_names_of_its_parametric_nodes_too(teacher, names):
    node = teacher.nodes[names[0]][0]
    (part,) = parts(teacher.model, teacher.nodes, Settings(0.5, only=(node,)))
    assert node != names[0]
    assert part.names == (names[0],)


@pytest.mark.parametrize("settings", [{"ignore": ("nothing",)}, {"only": ("n",)}, {"targets": {"n": 0.5}}])
def test_a_pattern_without_a_block_is_refused_with_the_names_there_are(teacher, images, names, settings):
    with pytest.raises(InputError, match="matches the whole name of no block") as caught:
        compress(teacher, images, Settings(0.5, **settings))
    assert all(name in str(caught.value) for name in names)


def test_ignoring_everything_is_refused(teacher, images):
    with pytest.raises(InputError, match="no block is left to compress"):
        compress(teacher, images, Settings(0.5, ignore=(".*",)))


@pytest.mark.parametrize("settings", [{"ignore": ("(",)}, {"only": ("[",)}, {"targets": {"*": 0.5}}])
def test_what_is_no_regular_expression_is_refused(settings):
    with pytest.raises(InputError, match="no regular expression"):
        Settings(0.5, **settings)


def test_a_targets_part_lies_between_none_and_all():
    with pytest.raises(InputError, match="strictly between 0 and 1, got 30"):
        Settings(0.5, targets={".*": 30})


def dense(first: np.ndarray, second: np.ndarray) -> ImplicitModel:
    """Rows, ReLU, rows."""
    terms = (Term("x", (), sparse.csr_array(first)), Term("h", (), sparse.csr_array(second)))
    return ImplicitModel(
        (Input("x", (first.shape[1],)),),
        (StateBlock("h", Affine((len(first),), terms[:1], None), Activation("relu")),),
        (Output("y", Affine((len(second),), terms[1:], None)),),
    )


ZEROS, ONES = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)


def test_a_network_whose_weights_are_all_zero_has_nothing_to_compress():
    with pytest.raises(InputError, match="nothing to compress in this network: all its weights are zero"):
        parts(dense(ZEROS, ZEROS), {}, Settings(0.5))


def test_a_network_without_weights_has_nothing_to_compress():
    relu = StateBlock("h", Affine((4,), (Term("x"),)), Activation("relu"))
    model = ImplicitModel((Input("x", (4,)),), (relu,), (Output("y", Affine((4,), (Term("h"),))),))
    with pytest.raises(InputError, match="nothing to compress in this network: it has no weights"):
        parts(model, {}, Settings(0.5))


def test_a_target_for_zeros_alone_is_refused():
    model = dense(ZEROS, ONES)
    with pytest.raises(InputError, match="all weights of h are zero"):
        parts(model, {}, Settings(0.5, targets={"h": 0.2}))
    (part,) = parts(model, {}, Settings(0.5))
    assert part.names == ("h", "y")
