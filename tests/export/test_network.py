"""The exported graph gives in onnxruntime what the runtime gives, as plainly as the network it came from."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from sim_compress import Settings, compress, open_teacher
from sim_compress.activations import Activation
from sim_compress.artifact import read, replace_files
from sim_compress.errors import InputError
from sim_compress.export import Source, exported, files_of, source_of, to_onnx
from sim_compress.export import graph as export_graph
from sim_compress.export.files import check
from sim_compress.model import (
    Affine,
    ImplicitModel,
    Input,
    Output,
    Patches,
    Reshape,
    Scale,
    StateBlock,
    Sum,
    Term,
    chain_shape,
)
from sim_compress.runtime import Session
from sim_compress.storage import is_mapped
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


def every_phi() -> ImplicitModel:
    """Blocks of all phis that have another form in older operator sets, and a dilated average."""
    shape = (4, 6)
    phis = [
        Activation("gelu"),
        Activation("gelu_tanh"),
        Activation("mish"),
        Activation("hard_swish"),
        Activation("layer_norm", {"axes": (1,), "epsilon": 1e-5}),
        Activation("rms_norm", {"axes": (0,), "epsilon": 1e-5}),
        Activation("lp_norm", {"axes": (1,), "p": 1, "epsilon": 1e-5}),
    ]
    blocks = [
        StateBlock(f"{phi.name}_", Affine(shape, (Term("u", (), weight(4, 4, 0.9, i)),)), phi)
        for i, phi in enumerate(phis)
    ]
    reductions = ["max", "min", "l1", "l2", "sum_square", "log_sum_exp", "prod"]
    blocks += [
        StateBlock(f"{name}_", Affine(shape, (Term("u"),)), Activation(f"reduce_{name}", {"axes": (1,)}))
        for name in reductions
    ]
    windows = Patches((3,), (1,), (2,), (0,), (0,))
    average = (windows, Reshape((4, 3, 2)), Sum((1,)), Scale(np.array(1 / 3)))
    means = (Sum((1,)), Scale(np.array(1 / 6)))
    ends = [(b.name, ()) for b in blocks] + [("u", average), ("u", means), ("u", (Sum((0,)),))]
    shapes = {"u": shape, **{b.name: b.shape for b in blocks}}
    outputs = tuple(
        Output(f"out{i}", Affine(chain_shape(maps, shapes[name]), (Term(name, maps),)))
        for i, (name, maps) in enumerate(ends)
    )
    return ImplicitModel((Input("u", shape),), tuple(blocks), outputs)


@pytest.mark.parametrize("opset", [13, 14, 16, 17, 18, 19, 20, 21])
def test_every_operator_set_gives_the_same_outputs(opset):
    model = every_phi()
    inputs = inputs_of(model)
    graph = to_onnx(model, Source(opset))
    onnx.checker.check_model(graph, full_check=True)
    assert [o.version for o in graph.opset_import] == [opset]
    expected, found = Session(model, kernel="scipy").predict(inputs), run(graph, inputs)
    for name, value in expected.items():
        assert_close(found[name], value)


def test_names_the_batch_axis_and_the_networks_own_words_are_kept(tmp_path):
    network = onnx.load(MODELS / "fashion_mlp.onnx")
    network.doc_string = "Ten garments.\nTrained on pixels."
    network.metadata_props.add(key="names", value="{0: 'T-shirt', 1: 'trouser'}")
    network.metadata_props.add(key="stride", value="32")
    for value in (*network.graph.input, *network.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch_size"
    network.opset_import[0].version = 17
    network.ir_version = 8
    onnx.save(network, tmp_path / "net.onnx")
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:64]
    result = compress(tmp_path / "net.onnx", images, Settings(0.5, tune=0))
    result.save(tmp_path / "net.sim.safetensors")
    again = compress(tmp_path / "net.sim.safetensors", images, Settings(0.2, tune=0))
    for provenance in (read(tmp_path / "net.sim.safetensors").provenance, again.provenance):
        graph = to_onnx(result.model, source_of(provenance))
        assert graph.doc_string == network.doc_string
        assert list(graph.metadata_props) == list(network.metadata_props)
        assert [o.version for o in graph.opset_import] == [17]
        for end in ("input", "output"):
            found, wanted = getattr(graph.graph, end), getattr(network.graph, end)
            assert [v.name for v in found] == [v.name for v in wanted]
            assert [v.type.tensor_type.shape.dim[0].dim_param for v in found] == ["batch_size"]


def test_a_network_without_words_gives_a_graph_without():
    graph = to_onnx(residual_network(), source_of({}))
    assert graph.doc_string == ""
    assert not graph.metadata_props
    assert [o.version for o in graph.opset_import] == [20]


@pytest.mark.parametrize(
    ("opset", "wanted"), [(7, 13), (13, 13), (20, 20), (10**6, onnx.defs.onnx_opset_version())]
)
def test_the_nearest_operator_set_stands_for_that_of_the_source(opset, wanted):
    assert source_of({"source": {"opset": opset}}).opset == wanted


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "provenance.source: expected an object, found"),
        ({"opset": "20"}, "source.opset: expected a whole number, found '20'"),
        ({"batch": 3}, "source.batch: expected text"),
        ({"doc_string": None}, "source.doc_string: expected text, found None"),
        ({"metadata_props": {"a": 1}}, "metadata_props: expected texts by name"),
        ({"metadata_props": ["a"]}, "metadata_props: expected texts by name"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused(source, message):
    with pytest.raises(InputError, match=message):
        source_of({"source": source})


@pytest.mark.parametrize("opset", [12, 99])
def test_an_operator_set_that_there_is_no_exporter_for_is_refused(opset):
    with pytest.raises(InputError, match=f"--opset {opset}: expected 13 to"):
        source_of({}, opset)


def test_weights_beyond_one_message_stand_in_a_file_beside_it(tmp_path):
    model = open_teacher(MODELS / "fashion_mlp.onnx").model
    graph = to_onnx(model)
    files = files_of(exported(model), "net.onnx", most=50_000)
    assert set(files) == {"net.onnx", "net.onnx.data"}
    replace_files({tmp_path / name: data for name, data in files.items()})
    assert (tmp_path / "net.onnx").stat().st_size < 10_000
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    inputs = inputs_of(model)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, inputs)
    assert np.array_equal(np.asarray(found), run(graph, inputs)["logits"])
    loaded = onnx.load(tmp_path / "net.onnx")
    assert {t.name for t in loaded.graph.initializer} == {t.name for t in graph.graph.initializer}
    assert open_teacher(tmp_path / "net.onnx").model.nnz == model.nnz


def test_a_graph_that_one_message_holds_is_one_file():
    graph = exported(residual_network())
    assert files_of(graph, "net.onnx") == {"net.onnx": graph.graph.SerializeToString()}


def test_a_graph_too_large_for_one_message_is_checked_too():
    graph = exported(residual_network())
    check(graph, most=1000)
    graph.graph.graph.node[0].op_type = "Convolution"
    with pytest.raises(onnx.checker.ValidationError):
        check(graph, most=1000)


def test_large_constants_wait_in_files_and_nothing_of_the_graph_changes(tmp_path, monkeypatch):
    model = open_teacher(MODELS / "fashion_mlp.onnx").model
    whole = to_onnx(model)
    monkeypatch.setattr(export_graph, "LARGE", 2000)
    found = exported(model)
    assert all(is_mapped(values) for values in found.values.values())
    assert sum(v.nbytes for v in found.values.values()) > 0.9 * found.total
    assert found.whole().SerializeToString() == whole.SerializeToString()
    files = files_of(found, "net.onnx", most=50_000)
    replace_files({tmp_path / name: data for name, data in files.items()})
    loaded = onnx.load(tmp_path / "net.onnx")
    for tensor, wanted in zip(loaded.graph.initializer, whole.graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), numpy_helper.to_array(wanted))
    # Every one begins on a page, where it can be mapped.
    places = [
        int(entry.value)
        for tensor in onnx.load(tmp_path / "net.onnx", load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "offset"
    ]
    assert places
    assert all(place % 4096 == 0 for place in places)
