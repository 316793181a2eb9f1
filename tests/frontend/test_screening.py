"""What a file asks for is computed before it is allocated or run: sizes, functions, training."""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sim_compress.errors import ModelFileError, SimCompressError
from sim_compress.frontend import load_teacher
from sim_compress.frontend.read import cleaning, network_file
from tests.frontend.graphs import Arrays, assert_exact, exact, graph_of, node, random, saved

HUGE = 2**40
Network = Callable[[], onnx.ModelProto]


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test where onnxruntime gets to see the network, or functions are expanded."""

    def opened(*_: object) -> None:
        pytest.fail("the network was opened before its sizes were checked")

    monkeypatch.setattr(cleaning, "open_session", opened)
    monkeypatch.setattr(network_file, "inline_local_functions", opened)


def refusal(folder: Path, model: onnx.ModelProto) -> str:
    with pytest.raises(SimCompressError) as caught:
        load_teacher(saved(folder, model))
    return str(caught.value)


def int64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def one(
    operator: str, inputs: Sequence[str], shape: Sequence[int], opset: int = 17, **more
) -> onnx.ModelProto:
    """A network of one node on x, behind which a sum and three rows stand."""
    constants = {n: more.pop(n) for n in inputs if n in more}
    nodes = [
        node(operator, inputs, ["big"], "bomb", **more),
        node("Flatten", ["big"], ["f"]),
        node("ReduceSum", ["f", "axis"], ["s"]),
        node("MatMul", ["s", "w"], ["y"]),
    ]
    constants |= {"axis": int64(1), "w": random(1, 3)}
    infos = {"x": tuple(shape)}
    return unchecked(nodes, infos, constants, opset)


def unchecked(
    nodes: Sequence[onnx.NodeProto], inputs: dict[str, tuple[int, ...]], constants: Arrays, opset: int = 17
) -> onnx.ModelProto:
    """As `graph_of`, without shape inference."""
    model = graph_of([node("Identity", ["x"], ["y"])], inputs, constants, opset=opset)
    del model.graph.node[:], model.graph.value_info[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.output.append(helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None))
    return model


def doubled() -> onnx.ModelProto:
    names = ["x", *(f"q{i}" for i in range(28)), "big"]
    nodes = [node("Concat", [a, a], [b], "bomb" if b == "q23" else "", axis=1) for a, b in pairwise(names)]
    return unchecked([*nodes, node("Relu", ["big"], ["y"])], {"x": (8,)}, {})


ONE_NODE: dict[str, Network] = {
    "Tile": lambda: one("Tile", ["x", "r"], [8], r=int64(1, HUGE)),
    "Expand": lambda: one("Expand", ["x", "r"], [1], r=int64(1, HUGE)),
    "Pad": lambda: one("Pad", ["x", "r"], [8], r=int64(0, 0, 0, HUGE)),
    "Pad by attribute": lambda: one("Pad", ["x"], [8], opset=10, pads=[0, 0, 0, HUGE]),
    "Resize by scales": lambda: one(
        "Resize", ["x", "", "r"], [1, 8, 8], r=np.array([1, 1, 1e5, 1e5], np.float32)
    ),
    "Resize by sizes": lambda: one("Resize", ["x", "", "", "r"], [1, 8, 8], r=int64(1, 1, 10**6, 10**6)),
    "Upsample": lambda: one(
        "Upsample", ["x", "r"], [1, 8, 8], opset=9, r=np.array([1, 1, 1e5, 1e5], np.float32)
    ),
    "Conv": lambda: one("Conv", ["x", "k"], [1, 2, 4], k=random(1, 1, 3, 3), pads=[30_000] * 4),
    "ConvTranspose": lambda: one(
        "ConvTranspose", ["x", "k"], [1, 8, 8], k=random(1, 1, 3, 3), strides=[9999] * 2
    ),
    "MaxPool": lambda: one("MaxPool", ["x"], [1, 8, 8], kernel_shape=[99_999] * 2, pads=[99_998] * 4),
    "MatMul": lambda: one("MatMul", ["x", "k"], [50_000, 1], k=random(1, 50_000)),
    "Einsum": lambda: one("Einsum", ["x", "k"], [50_000], k=random(50_000), equation="ni,j->nij"),
    "Mul": lambda: one("Mul", ["x", "k"], [50_000, 1], k=random(50_000)),
    "doubling": doubled,
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("kind", ONE_NODE)
def test_a_tensor_that_no_memory_holds_is_refused_with_its_node_and_size(tmp_path: Path, kind: str) -> None:
    message = refusal(tmp_path, ONE_NODE[kind]())
    assert "'bomb': the tensor" in message
    assert "iB a sample (" in message
    assert "more than the 256 MiB that are supported; give the network smaller inputs, or cut it" in message


def added(*nodes: onnx.NodeProto, **constants: np.ndarray) -> onnx.ModelProto:
    """A network that adds the sum of a computed constant to its input."""
    last = [node("ReduceSum", ["big"], ["s"], keepdims=0), node("Add", ["x", "s"], ["y"])]
    return unchecked([*nodes, *last], {"x": (3,)}, constants)


def branching() -> onnx.ModelProto:
    """The size of a constant comes out of the branch that is always taken."""
    ends = [helper.make_tensor_value_info(n, TensorProto.INT64, None) for n in ("t", "e")]
    size, other = (helper.make_node("Constant", [], [n], value_ints=[v]) for n, v in (("t", HUGE), ("e", 1)))
    ways = {
        "then_branch": helper.make_graph([size], "then", [], ends[:1]),
        "else_branch": helper.make_graph([other], "else", [], ends[1:]),
    }
    return added(
        node("If", ["yes"], ["r"], "way", **ways),
        node("ConstantOfShape", ["r"], ["big"], "bomb"),
        yes=np.array(True),
    )


def looping() -> onnx.ModelProto:
    body = helper.make_graph(
        [
            node("Identity", ["c"], ["again"]),
            node("ConstantOfShape", ["r"], ["huge"], "bomb"),
            node("ReduceSum", ["huge"], ["total"], keepdims=0),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("total", TensorProto.FLOAT, []),
        ],
    )
    loop = node("Loop", ["count", "yes"], ["big"], body=body)
    return added(loop, count=np.array(2), yes=np.array(True), r=int64(HUGE))


CONSTANTS: dict[str, Network] = {
    "ConstantOfShape": lambda: added(node("ConstantOfShape", ["r"], ["big"], "bomb"), r=int64(2**20, 2**20)),
    "Tile": lambda: added(node("Tile", ["c", "r"], ["big"], "bomb"), c=random(8), r=int64(HUGE)),
    "Range": lambda: added(
        node("Range", ["a", "b", "c"], ["i"], "bomb"),
        node("Cast", ["i"], ["big"], to=TensorProto.FLOAT),
        a=np.array(0),
        b=np.array(HUGE),
        c=np.array(1),
    ),
    "OneHot": lambda: added(
        node("OneHot", ["i", "d", "v"], ["big"], "bomb"), i=int64(1, 2), d=int64(HUGE), v=random(2)
    ),
    "EyeLike": lambda: added(
        node("ConstantOfShape", ["r"], ["z"], "bomb"),
        node("EyeLike", ["z"], ["big"], dtype=1),
        r=int64(HUGE, HUGE),
    ),
    "a computed size": lambda: added(
        node("Pow", ["two", "forty"], ["r"]),
        node("Expand", ["c", "r"], ["big"], "bomb"),
        two=int64(2),
        forty=int64(40),
        c=random(1),
    ),
    "a size from the input's": lambda: added(
        node("Shape", ["x"], ["n"]),
        node("Mul", ["n", "k"], ["r"]),
        node("ConstantOfShape", ["r"], ["big"], "bomb"),
        k=int64(2**20, 2**20),
    ),
    "a size of a branch": branching,
    "inside a loop": looping,
    "many together": lambda: added(
        *(node("Expand", ["c", "r"], [f"e{i}"], "bomb" if i == 16 else "") for i in range(20)),
        node("Sum", [f"e{i}" for i in range(20)], ["big"]),
        c=random(1),
        r=int64(2**22),
    ),
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_that_no_memory_holds_are_refused_before_they_are_folded(tmp_path: Path, kind: str) -> None:
    message = refusal(tmp_path, CONSTANTS[kind]())
    assert "'bomb': the constant" in message
    assert "and all constants together more than 256 MiB and 8 times the file" in message


@pytest.mark.usefixtures("untouched")
def test_a_constant_whose_size_does_not_follow_is_refused(tmp_path: Path) -> None:
    """More values than are evaluated stand between the file and the size."""
    model = added(
        node("Expand", ["c", "r"], ["many"]),
        node("ReduceSum", ["many"], ["n"], keepdims=0),
        node("Range", ["a", "n", "one"], ["big"], "bomb"),
        c=random(1),
        r=int64(2**21),
        a=np.array(0, np.float32),
        one=np.array(1, np.float32),
    )
    assert "'bomb': the size of the constant 'big' cannot be told without computing it" in refusal(
        tmp_path, model
    )


def test_sizes_that_are_computed_and_small_are_no_obstacle(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["n"], start=1),
        node("Mul", ["n", "two"], ["r"]),
        node("ConstantOfShape", ["r"], ["c"], value=numpy_helper.from_array(np.array([0.5], np.float32))),
        node("Tile", ["x", "twice"], ["t"]),
        node("Add", ["t", "c"], ["y"]),
    ]
    exact(tmp_path, nodes, {"x": (3,)}, {"two": int64(2), "twice": int64(1, 2)})


@pytest.mark.usefixtures("untouched")
def test_an_input_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, unchecked([node("Relu", ["x"], ["y"])], {"x": (HUGE,)}, {}))
    assert "input 'x': the tensor 'x' would take 4 TiB a sample" in message


@pytest.mark.usefixtures("untouched")
def test_a_fixed_batch_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    model = unchecked([node("Relu", ["x"], ["y"])], {"x": (100,)}, {})
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 10**9
    assert "would take 372.5 GiB for its batch of 1000000000" in refusal(tmp_path, model)


def test_pooling_windows_that_no_memory_holds_are_refused(tmp_path: Path) -> None:
    """The result is small, its windows side by side are not."""
    model = one("AveragePool", ["x"], [1, 150, 150], kernel_shape=[149] * 2, pads=[80] * 4)
    assert "AveragePool 'bomb': spreads a sample over" in refusal(tmp_path, model)


@pytest.mark.parametrize("operator", ["Add", "Concat"])
def test_sums_of_sums_do_not_have_exponentially_many_terms(tmp_path: Path, operator: str) -> None:
    settings = {"axis": 1} if operator == "Concat" else {}
    count = 60 if operator == "Add" else 12
    nodes = [node(operator, [f"q{i}", f"q{i}"], [f"q{i + 1}"], "", **settings) for i in range(count)]
    rows = random(8 if operator == "Add" else 8 * 2**count, 3)
    exact(tmp_path, [*nodes, node("MatMul", [f"q{count}", "w"], ["y"])], {"q0": (8,)}, {"w": rows})


@pytest.mark.parametrize("operator", ["Div", "Mod"])
@pytest.mark.parametrize("divisor", [0, -1])
@pytest.mark.usefixtures("untouched")
def test_division_of_whole_numbers_without_a_result_is_refused(
    tmp_path: Path, operator: str, divisor: int
) -> None:
    """onnxruntime would end the process."""
    nodes = [
        node(operator, ["lowest", "d"], ["q"], "bomb"),
        node("Cast", ["q"], ["f"], to=TensorProto.FLOAT),
        node("Add", ["x", "f"], ["y"]),
    ]
    lowest = int64(np.iinfo(np.int64).min, 5, 6)
    message = refusal(tmp_path, unchecked(nodes, {"x": (3,)}, {"lowest": lowest, "d": int64(divisor)}))
    assert f"{operator} 'bomb': divides" in message


# What a file stores.


def stored(spoil: Callable[[onnx.TensorProto], None]) -> onnx.ModelProto:
    model = graph_of([node("MatMul", ["x", "w"], ["y"], "rows")], {"x": (3,)}, {"w": random(3, 4)})
    spoil(model.graph.initializer[0])
    return model


def _without_values(tensor: onnx.TensorProto) -> None:
    tensor.dims[:] = [2**20, 2**20]
    tensor.ClearField("raw_data")


def _negative(tensor: onnx.TensorProto) -> None:
    tensor.dims[:] = [-3, -4]


def _cut_off(tensor: onnx.TensorProto) -> None:
    tensor.raw_data = tensor.raw_data[:-4]


def _longer(tensor: onnx.TensorProto) -> None:
    tensor.raw_data += b"1234"


def _of_no_type(tensor: onnx.TensorProto) -> None:
    tensor.data_type = 77


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            _without_values,
            "declares the shape (1048576, 1048576), which is 1099511627776 values, but holds 0",
        ),
        (_negative, "declares the shape (-3, -4)"),
        (_cut_off, "declares the shape (3, 4), which is 12 values, but holds 11"),
        (_longer, "declares the shape (3, 4), which is 12 values, but holds 13"),
        (_of_no_type, "has the unknown element type 77"),
    ],
)
@pytest.mark.parametrize("place", ["weight", "attribute", "branch"])
@pytest.mark.usefixtures("untouched")
def test_tensors_hold_the_values_that_they_declare(tmp_path: Path, spoil, message: str, place: str) -> None:
    model = stored(spoil)
    tensor = model.graph.initializer[0]
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.add(name="value", t=tensor, type=onnx.AttributeProto.TENSOR)
    if place != "weight":
        del model.graph.initializer[:]
        model.graph.node.insert(0, constant)
    if place == "branch":
        body = helper.make_graph([constant], "body", [], [onnx.ValueInfoProto(name="w")])
        model.graph.node[0].CopyFrom(node("If", ["x"], ["w"], then_branch=body, else_branch=body))
    assert f"tensor 'w' {message}" in refusal(tmp_path, model)


@pytest.mark.usefixtures("untouched")
def test_sparse_weights_are_refused_before_they_are_made_dense(tmp_path: Path) -> None:
    model = stored(lambda _: None)
    values, places = numpy_helper.from_array(random(1), "w"), numpy_helper.from_array(int64(5))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2**20, 2**20]))
    del model.graph.initializer[:]
    assert "weight 'w' is stored as a sparse tensor, which is not supported" in refusal(tmp_path, model)


def test_weights_of_less_than_a_byte_hold_what_they_declare() -> None:
    from sim_compress.frontend.read.screening import check_stored

    packed = helper.make_tensor("w", TensorProto.INT4, [5], [1, 2, 3, -4, 5])
    raw = numpy_helper.from_array(numpy_helper.to_array(packed), "w")
    for tensor in (packed, raw):
        check_stored(helper.make_model(helper.make_graph([], "g", [], [], [tensor])))
        tensor.dims[:] = [7]
        with pytest.raises(ModelFileError, match="which is 7 values, but holds 6"):
            check_stored(helper.make_model(helper.make_graph([], "g", [], [], [tensor])))


def beside(folder: Path) -> tuple[onnx.ModelProto, Path]:
    """A network whose weights are in a file beside it."""
    model = graph_of([node("MatMul", ["x", "w"], ["y"])], {"x": (3,)}, {"w": random(3, 4)})
    onnx.save(model, folder / "network.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return onnx.load(folder / "network.onnx", load_external_data=False), folder / "w.bin"


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "inner/../../w.bin"])
def test_weights_outside_of_the_folder_are_not_read(tmp_path: Path, location: str) -> None:
    (tmp_path / "inner").mkdir()
    model, weights = beside(tmp_path / "inner")
    weights.rename(tmp_path / "w.bin")
    model.graph.initializer[0].external_data[0].value = location
    assert f"said to be in {location!r}, outside of" in refusal(tmp_path / "inner", model)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    model, weights = beside(tmp_path / "inner")
    weights.rename(tmp_path / "w.bin")
    weights.symlink_to(tmp_path / "w.bin")
    assert "said to be in 'w.bin', outside of" in refusal(tmp_path / "inner", model)


def test_weights_of_many_gigabytes_are_not_read(tmp_path: Path) -> None:
    model, weights = beside(tmp_path)
    with weights.open("r+b") as file:
        file.truncate(2**40)
    assert "takes 1 TiB with its external data, and networks over 64 GiB" in refusal(tmp_path, model)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "network.onnx")
    with pytest.raises(
        ModelFileError, match=r"network.onnx: is a device or a pipe; expected an ONNX network"
    ):
        load_teacher(tmp_path / "network.onnx")


# Functions of a file.

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]


def functions(bodies: dict[str, list[str]], called: str) -> onnx.ModelProto:
    """A network that calls one of some functions, each a chain of others or of standard operators."""
    made = []
    for name, chain in bodies.items():
        tensors = ["a", *(f"t{i}" for i in range(len(chain) - 1)), "b"]
        nodes = [
            node(operator, [before], [after], domain="my" if operator in bodies else "")
            for operator, before, after in zip(chain, tensors, tensors[1:], strict=False)
        ]
        made.append(helper.make_function("my", name, ["a"], ["b"], nodes, OPSETS))
    model = graph_of([node("Identity", ["x"], ["y"])], {"x": (3,)})
    model.graph.node[0].CopyFrom(node(called, ["x"], ["y"], domain="my"))
    del model.opset_import[:]
    model.opset_import.extend(OPSETS)
    model.functions.extend(made)
    return model


@pytest.mark.usefixtures("untouched")
def test_functions_that_expand_without_measure_are_refused_before_they_do(tmp_path: Path) -> None:
    bodies = {"F0": ["Relu"], **{f"F{i}": [f"F{i - 1}"] * 2 for i in range(1, 61)}}
    message = refusal(tmp_path, functions(bodies, "F60"))
    assert f"expand to {2**60:,} nodes" in message
    assert "for one call of my.F60; at most 20,000 nodes" in message


@pytest.mark.parametrize(
    ("bodies", "cycle"),
    [({"F": ["F"]}, "my.F calls my.F"), ({"F": ["G"], "G": ["Relu", "F"]}, "my.F calls my.G calls my.F")],
)
@pytest.mark.usefixtures("untouched")
def test_functions_that_call_themselves_are_refused(tmp_path: Path, bodies, cycle: str) -> None:
    message = refusal(tmp_path, functions(bodies, "F"))
    assert "a function of the file calls itself" in message
    assert cycle in message or " calls ".join(reversed(cycle.split(" calls "))) in message


@pytest.mark.usefixtures("untouched")
def test_functions_that_call_each_other_too_deep_are_refused(tmp_path: Path) -> None:
    bodies = {"F0": ["Relu"], **{f"F{i}": [f"F{i - 1}"] for i in range(1, 3000)}}
    assert "call each other 3000 deep, and 100 are supported" in refusal(tmp_path, functions(bodies, "F2999"))


def test_nested_functions_of_a_common_size_are_expanded(tmp_path: Path) -> None:
    bodies = {"F0": ["Relu", "Tanh"], **{f"F{i}": [f"F{i - 1}"] * 2 for i in range(1, 4)}}
    teacher = load_teacher(saved(tmp_path, functions(bodies, "F3")))
    assert [b.phi.name for b in teacher.model.blocks] == ["relu", "tanh"] * 8
    assert_exact(teacher)


# Training.


def dropout(ratio: float | None, mode: str, opset: int = 17) -> onnx.ModelProto:
    """Mode: a constant of the file, of a node, or a value that the network computes."""
    inputs = ["h", "" if ratio is None else "ratio", *([mode] if mode else [])]
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Constant", [], ["of_a_node"], value=numpy_helper.from_array(np.array(True))),
        node("ReduceMax", ["x"], ["most"], keepdims=0),
        node("Greater", ["most", "zero"], ["computed"]),
        node("Dropout", inputs, ["y"], "drops"),
    ]
    constants = {
        "w": random(3, 4),
        "zero": np.array(0, np.float32),
        "yes": np.array(True),
        "no": np.array(False),
    }
    return unchecked(
        nodes,
        {"x": (3,)},
        constants | ({} if ratio is None else {"ratio": np.array(ratio, np.float32)}),
        opset,
    )


@pytest.mark.parametrize("opset", [12, 13, 17])
@pytest.mark.parametrize("mode", ["yes", "of_a_node", "computed"])
@pytest.mark.parametrize("ratio", [None, 0.5])
def test_dropout_that_drops_is_refused(tmp_path: Path, ratio: float | None, mode: str, opset: int) -> None:
    message = refusal(tmp_path, dropout(ratio, mode, opset))
    assert "Dropout 'drops': drops values at random" in message
    assert "export the network in evaluation mode" in message


@pytest.mark.parametrize(("ratio", "mode"), [(0.5, ""), (0.5, "no"), (0.0, "yes"), (None, "")])
def test_dropout_that_drops_nothing_is_left_out(tmp_path: Path, ratio: float | None, mode: str) -> None:
    assert_exact(load_teacher(saved(tmp_path, dropout(ratio, mode))))


def test_dropout_of_a_branch_is_found(tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("t", "e")]
    ways = {
        "then_branch": helper.make_graph(
            [node("Dropout", ["x", "", "yes"], ["t"], "drops")], "t", [], ends[:1]
        ),
        "else_branch": helper.make_graph([node("Relu", ["x"], ["e"])], "e", [], ends[1:]),
    }
    model = unchecked([node("If", ["yes"], ["y"], "way", **ways)], {"x": (3,)}, {"yes": np.array(True)})
    assert "Dropout 'drops': drops values at random" in refusal(tmp_path, model)


@pytest.mark.parametrize(("opset", "settings", "outputs"), [(17, {"training_mode": 1}, 3), (9, {}, 5)])
def test_batch_normalisation_by_the_batch_is_refused(
    tmp_path: Path, opset: int, settings: dict, outputs: int
) -> None:
    names = ["y", "m", "v", "saved_m", "saved_v"][:outputs]
    nodes = [node("BatchNormalization", ["x", "s", "b", "mean", "var"], names, "norm", **settings)]
    constants = {"s": random(3), "b": random(3), "mean": random(3), "var": random(3) ** 2}
    message = refusal(tmp_path, unchecked(nodes, {"x": (3, 5)}, constants, opset))
    assert "BatchNormalization 'norm': normalises by the batch it is given" in message


@pytest.mark.parametrize(
    ("operator", "inputs", "settings"),
    [
        ("RandomNormal", [], {"shape": [1, 3]}),
        ("RandomUniform", [], {"shape": [1, 3]}),
        ("RandomNormalLike", ["x"], {}),
        ("RandomUniformLike", ["x"], {}),
        ("Bernoulli", ["x"], {}),
        ("Multinomial", ["x"], {"sample_size": 3, "dtype": TensorProto.INT64}),
    ],
)
def test_nodes_that_draw_random_numbers_are_refused(tmp_path, operator, inputs, settings) -> None:
    nodes = [
        node(operator, inputs, ["r"], "dice", **settings),
        node("Cast", ["r"], ["f"], to=TensorProto.FLOAT),
        node("Add", ["x", "f"], ["y"]),
    ]
    message = refusal(tmp_path, unchecked(nodes, {"x": (3,)}, {}))
    assert f"{operator} 'dice': this operator is not supported: it draws random numbers" in message
