"""The exported graph gives in onnxruntime what the runtime gives, as plainly as the network it came from."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import Settings, compress, open_teacher
from sim_compress.activations import Activation
from sim_compress.errors import InputError
from sim_compress.export import to_onnx
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term
from sim_compress.runtime import Session
from tests.frontend.graphs import assert_close, run
from tests.networks import loop, residual_network, weight

MODELS = Path(__file__).parents[2] / "models"


def operators(graph: onnx.ModelProto) -> list[str]:
    return [n.op_type for n in graph.graph.node]


def inputs_of(model: ImplicitModel, samples: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {i.name: (3 * rng.standard_normal((samples, *i.shape))).astype(i.dtype) for i in model.inputs}


def assert_same(model: ImplicitModel, inputs: dict[str, np.ndarray] | None = None) -> onnx.ModelProto:
    """The exported graph, its outputs compared."""
    graph = to_onnx(model)
    inputs = inputs_of(model) if inputs is None else inputs
    expected = Session(model, kernel="scipy").predict(inputs)
    found = run(graph, inputs)
    for name, value in expected.items():
        assert_close(found[name], value)
    return graph


def test_skips_groups_pooling_tokens_and_several_outputs_survive():
    model = residual_network()
    graph = assert_same(model)
    assert [o.name for o in graph.graph.output] == [o.name for o in model.outputs]
    assert {b.name for b in model.blocks} <= {o for n in graph.graph.node for o in n.output}
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param


def test_a_convolutional_network_comes_back_as_convolutions():
    teacher = open_teacher(MODELS / "resnet20.onnx")
    found = operators(assert_same(teacher.model))
    original = operators(onnx.load(MODELS / "resnet20.onnx"))
    for name in ("Conv", "Relu", "Gemm"):
        assert found.count(name) == original.count(name)
    assert found.count("Add") <= original.count("Add")
    # No rearrangement that the network does not have.
    assert len(found) <= len(original)


def test_states_that_the_network_did_not_use_are_read():
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:64]
    result = compress(MODELS / "fashion_mlp.onnx", images, Settings(0.5))
    first, *_, last = result.model.blocks
    size = int(np.prod(first.shape))
    extra = Term(first.name, last.affine.terms[0].maps[:0], weight(last.affine.rows, size, 0.01, 5))
    wider = StateBlock(
        last.name, Affine(last.affine.shape, (*last.affine.terms, extra), last.affine.bias), last.phi
    )
    blocks = (*result.model.blocks[:-1], wider)
    assert_same(
        ImplicitModel(result.model.inputs, blocks, result.model.outputs),
        {"images": images.astype(np.float32)},
    )


def test_a_loop_is_refused():
    with pytest.raises(InputError, match="the model has loops"):
        to_onnx(loop())


def test_an_output_that_is_a_state_or_an_input_keeps_its_name():
    state = StateBlock("x", Affine((3,), (Term("u", (), weight(3, 3)),)), Activation("relu"))
    model = ImplicitModel(
        (Input("u", (3,)),),
        (state,),
        (Output("same", Affine((3,), (Term("x"),))), Output("through", Affine((3,), (Term("u"),)))),
    )
    assert_same(model)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "uint8", "bool"])
def test_inputs_keep_their_dtype(dtype):
    rows = Affine((2,), (Term("u", (), weight(2, 4)),))
    model = ImplicitModel((Input("u", (4,), dtype),), (), (Output("y", rows),))
    values = np.random.default_rng(0).integers(0, 2, (3, 4)).astype(dtype)
    graph = assert_same(model, {"u": values})
    assert onnx.helper.tensor_dtype_to_np_dtype(graph.graph.input[0].type.tensor_type.elem_type) == dtype
