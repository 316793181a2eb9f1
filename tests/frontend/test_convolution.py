"""Convolutions equal onnxruntime's for every attribute, with tied rows."""

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.graphs import exact, node, random, refused

ATTRIBUTES = {
    "plain": {},
    "strides": {"strides": [2, 3]},
    "pads": {"pads": [1, 0, 2, 1]},
    "dilations": {"dilations": [2, 1], "pads": [1, 1, 1, 1]},
    "everything": {"strides": [2, 1], "dilations": [1, 2], "pads": [0, 2, 1, 2]},
    "same upper": {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    "same lower": {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
    "valid": {"auto_pad": "VALID", "strides": [2, 1]},
}


@pytest.mark.parametrize("attributes", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_a_convolution_is_exact_for_every_attribute(tmp_path: Path, attributes: dict) -> None:
    constants = {"w": random(4, 3, 3, 2), "b": random(4)}
    exact(tmp_path, [node("Conv", ["x", "w", "b"], ["y"], **attributes)], {"x": (3, 8, 9)}, constants)


@pytest.mark.parametrize(
    ("shape", "kernel"), [((2, 9), (3,)), ((2, 7, 6), (3, 2)), ((2, 5, 4, 6), (2, 3, 2))]
)
def test_a_convolution_is_exact_in_one_two_and_three_dimensions(
    tmp_path: Path, shape: tuple[int, ...], kernel: tuple[int, ...]
) -> None:
    exact(tmp_path, [node("Conv", ["x", "w"], ["y"])], {"x": shape}, {"w": random(3, 2, *kernel)})


@pytest.mark.parametrize(("groups", "rows"), [(2, 6), (4, 4), (4, 8)])
def test_a_grouped_convolution_keeps_the_full_width_with_zeros_outside_its_group(
    tmp_path: Path, groups: int, rows: int
) -> None:
    weight = random(rows, 4 // groups, 3, 3)
    nodes = [node("Conv", ["x", "w"], ["y"], group=groups, pads=[1, 1, 1, 1])]
    teacher = exact(tmp_path, nodes, {"x": (4, 6, 6)}, {"w": weight})
    term = teacher.model.outputs[0].affine.terms[0]
    assert term.groups == groups
    assert term.weight is not None
    assert term.weight.shape == (rows, 4 * 9)
    assert term.weight.nnz == weight.size


def test_zeros_in_the_file_stay_out_of_the_count_of_nonzeros(tmp_path: Path) -> None:
    weight, bias = random(4, 3, 3, 3), random(4)
    weight[1], bias[1] = 0, 0
    teacher = exact(
        tmp_path, [node("Conv", ["x", "w", "b"], ["y"])], {"x": (3, 5, 5)}, {"w": weight, "b": bias}
    )
    term = teacher.model.outputs[0].affine.terms[0]
    assert term.weight is not None
    assert term.weight.nnz == 3 * 27
    assert teacher.model.nnz == 3 * 28


def test_a_batch_norm_behind_a_convolution_is_folded_into_its_rows(tmp_path: Path) -> None:
    constants = {"w": random(4, 3, 3, 3)} | {k: random(4, seed=i) for i, k in enumerate("gbm")}
    constants["v"] = np.abs(random(4)) + 0.5
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv"),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], "norm", epsilon=1e-3),
        node("Relu", ["n"], ["y"], "relu"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (3, 5, 5)}, constants)
    assert [b.name for b in teacher.model.blocks] == ["relu"]
    assert teacher.model.nnz == 4 * 28


def test_a_convolution_whose_weight_is_computed_is_refused(tmp_path: Path) -> None:
    nodes = [node("Conv", ["x", "w"], ["y"], "conv")]
    message = refused(tmp_path, [node("Relu", ["v"], ["w"]), *nodes], {"x": (3, 5, 5), "v": (3, 2, 2)})
    assert "'conv'" in message
    assert "has weights that are different for each sample" in message


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weight = random(4, 3, 3, 3)
    weight[0, 0, 0, 0] = np.inf
    nodes = [node("Conv", ["x", "w"], ["y"], "conv")]
    assert "finite" in refused(tmp_path, nodes, {"x": (3, 5, 5)}, {"w": weight})


TRANSPOSED = {
    "plain": {},
    "strides": {"strides": [2, 3]},
    "pads": {"strides": [2, 2], "pads": [1, 0, 2, 1]},
    "more padding than kernel": {"strides": [2, 2], "pads": [3, 4, 4, 3]},
    "dilations": {"dilations": [2, 3], "pads": [1, 1, 1, 1]},
    "output padding": {"strides": [3, 2], "pads": [1, 1, 1, 1], "output_padding": [2, 1]},
    "output shape": {"strides": [3, 2], "output_shape": [14, 10]},
    "odd output shape": {"strides": [3, 2], "output_shape": [13, 9], "auto_pad": "SAME_UPPER"},
    "same upper": {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same lower": {"strides": [1, 2], "auto_pad": "SAME_LOWER"},
    "valid": {"strides": [1, 2], "auto_pad": "VALID"},
}


@pytest.mark.parametrize("attributes", TRANSPOSED.values(), ids=TRANSPOSED)
@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_is_exact_for_every_attribute(
    tmp_path: Path, attributes: dict, groups: int
) -> None:
    constants = {"w": random(4, 3, 3, 2), "b": random(3 * groups)}
    nodes = [node("ConvTranspose", ["x", "w", "b"], ["y"], group=groups, **attributes)]
    teacher = exact(tmp_path, nodes, {"x": (4, 5, 6)}, constants)
    assert teacher.model.nnz == sum(c.size for c in constants.values())


@pytest.mark.parametrize(("shape", "kernel"), [((2, 9), (3,)), ((2, 3, 4, 2), (2, 3, 2))])
def test_a_transposed_convolution_is_exact_in_one_and_three_dimensions(
    tmp_path: Path, shape: tuple[int, ...], kernel: tuple[int, ...]
) -> None:
    nodes = [node("ConvTranspose", ["x", "w"], ["y"], strides=[2] * len(kernel))]
    exact(tmp_path, nodes, {"x": shape}, {"w": random(2, 3, *kernel)})


def test_a_transposed_convolution_reads_the_parts_of_a_concatenation(tmp_path: Path) -> None:
    nodes = [
        node("Concat", ["x", "u"], ["c"], axis=1),
        node("ConvTranspose", ["c", "w"], ["y"], strides=[2, 2]),
    ]
    teacher = exact(tmp_path, nodes, {"x": (1, 3, 4), "u": (2, 3, 4)}, {"w": random(3, 2, 3, 3)})
    assert [t.source for t in teacher.model.outputs[0].affine.terms] == ["x", "u"]
