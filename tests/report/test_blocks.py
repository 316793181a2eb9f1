"""Figures of blocks: they sum to those of the model."""

from dataclasses import replace

from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term
from sim_compress.report import compressed_blocks, stored_blocks
from tests.networks import bias, residual_network, weight


def halved(model: ImplicitModel) -> ImplicitModel:
    """The model without the weights of its first block."""
    first, *others = model.blocks
    empty = replace(first.affine.terms[0], weight=sparse.csr_array(first.affine.weights[0].shape, dtype="f4"))
    emptied = replace(first, affine=replace(first.affine, terms=(empty,)))
    return ImplicitModel(model.inputs, (emptied, *others), model.outputs)


def test_parameters_and_nonzeros_sum_to_those_of_the_models():
    teacher = residual_network()
    model = halved(teacher)
    blocks = compressed_blocks(teacher, model)
    assert sum(b.parameters for b in blocks) == teacher.nnz
    assert sum(b.nonzeros for b in blocks) == model.nnz
    assert [b.name for b in blocks] == ["stem", "block", "pooled", "tokens", "scores", "peak"]
    assert [b.phi for b in blocks] == ["relu", "relu", "max_pool", "tanh", "output", "output"]
    assert blocks[0].sparsity == 1 - 4 / (teacher.blocks[0].affine.nnz)


def test_rows_and_features_are_those_of_the_row_problems():
    blocks = {b.name: b for b in stored_blocks(residual_network())}
    assert (blocks["stem"].rows, blocks["stem"].features) == (4, 18)
    # A grouped row uses one of two groups of 18 features.
    assert (blocks["block"].rows, blocks["block"].features) == (6, 18)
    assert (blocks["tokens"].rows, blocks["tokens"].features) == (5, 6)
    assert (blocks["scores"].rows, blocks["scores"].features) == (3, 15 + 2)


def test_rows_with_several_uses_are_counted_at_the_first():
    rows = Affine((6,), (Term("u", (), weight(6, 6)),), bias(6))
    again = replace(rows, terms=(replace(rows.terms[0], source="first"),))
    blocks = (StateBlock("first", rows, Activation("tanh")), StateBlock("second", again, Activation("tanh")))
    model = ImplicitModel((Input("u", (6,)),), blocks, (Output("y", Affine((6,), (Term("second"),))),))
    for first, second, _ in (stored_blocks(model), compressed_blocks(model, model)):
        assert (first.rows, first.nonzeros, first.rows_of) == (6, rows.nnz, None)
        assert (second.rows, second.parameters, second.nonzeros) == (0, 0, 0)
        assert second.rows_of == "first"
        assert second.sparsity is None
    assert sum(b.nonzeros for b in stored_blocks(model)) == model.nnz == rows.nnz


def test_without_a_teacher_parameters_are_the_entries_that_rows_may_use():
    blocks = {b.name: b for b in stored_blocks(residual_network())}
    assert blocks["block"].parameters == 6 * 18 + 6
    assert blocks["pooled"].parameters == blocks["pooled"].rows == 0
    assert blocks["pooled"].sparsity is None
