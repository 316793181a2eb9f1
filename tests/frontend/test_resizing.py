"""Resized axes equal onnxruntime's for every mode, in every operator set."""

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.graphs import exact, node, refused

MODES = [
    {"mode": "nearest"},
    {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
    {"mode": "nearest", "nearest_mode": "ceil", "coordinate_transformation_mode": "align_corners"},
    {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    {"mode": "linear"},
    {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
    {"mode": "cubic"},
    {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
]


@pytest.mark.parametrize("mode", MODES, ids=lambda m: "-".join(map(str, m.values())))
@pytest.mark.parametrize("scales", [(2.0, 2.0), (1.0, 1.6), (0.5, 0.6)], ids=str)
@pytest.mark.parametrize("opset", [11, 19])
def test_images_resized_by_factors_are_exact(
    tmp_path: Path, mode: dict, scales: tuple[float, float], opset: int
) -> None:
    constants = {"roi": np.zeros(0, np.float32), "s": np.array([1, 1, *scales], np.float32)}
    exact(
        tmp_path, [node("Resize", ["x", "roi", "s"], ["y"], **mode)], {"x": (2, 5, 7)}, constants, opset=opset
    )


@pytest.mark.parametrize("mode", MODES, ids=lambda m: "-".join(map(str, m.values())))
@pytest.mark.parametrize("sizes", [(9, 4), (5, 13)], ids=str)
def test_images_resized_to_sizes_are_exact(tmp_path: Path, mode: dict, sizes: tuple[int, int]) -> None:
    nodes = [node("Resize", ["x", "", "", "s"], ["y"], axes=[2, 3], **mode)]
    exact(tmp_path, nodes, {"x": (2, 5, 7)}, {"s": np.array(sizes)}, opset=19)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_smoothed_reductions_are_exact(tmp_path: Path, mode: str) -> None:
    nodes = [node("Resize", ["x", "", "s"], ["y"], mode=mode, antialias=1)]
    exact(tmp_path, nodes, {"x": (2, 8, 9)}, {"s": np.array([1, 1, 0.5, 0.4], np.float32)}, opset=19)


def test_signals_and_volumes_are_resized_too(tmp_path: Path) -> None:
    for shape in ((2, 6), (2, 3, 4, 5)):
        scales = np.array([1, 1, *(2.0 for _ in shape[1:])], np.float32)
        exact(tmp_path, [node("Resize", ["x", "", "s"], ["y"], mode="linear")], {"x": shape}, {"s": scales})


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_a_kept_aspect_ratio_is_exact(tmp_path: Path, policy: str) -> None:
    nodes = [node("Resize", ["x", "", "", "s"], ["y"], axes=[2, 3], keep_aspect_ratio_policy=policy)]
    exact(tmp_path, nodes, {"x": (2, 4, 6)}, {"s": np.array([8, 18])}, opset=19)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsampling_of_old_operator_sets_is_exact(tmp_path: Path, mode: str) -> None:
    scales = np.array([1, 1, 2, 3], np.float32)
    shape = {"x": (2, 3, 4)}
    exact(tmp_path, [node("Upsample", ["x"], ["y"], scales=scales.tolist(), mode=mode)], shape, opset=7)
    exact(tmp_path, [node("Upsample", ["x", "s"], ["y"], mode=mode)], shape, {"s": scales}, opset=9)
    exact(tmp_path, [node("Resize", ["x", "s"], ["y"], mode=mode)], shape, {"s": scales}, opset=10)


REFUSED = {
    "crops": ({"coordinate_transformation_mode": "tf_crop_and_resize"}, [1, 1, 2, 2]),
    "batch axis": ({}, [2, 1, 1, 1]),
}


@pytest.mark.parametrize(("reason", "case"), REFUSED.items(), ids=REFUSED)
def test_other_resizing_is_refused(tmp_path: Path, reason: str, case: tuple) -> None:
    attributes, scales = case
    constants = {"roi": np.zeros(8, np.float32), "s": np.array(scales, np.float32)}
    nodes = [node("Resize", ["x", "roi", "s"], ["y"], **attributes)]
    assert reason in refused(tmp_path, nodes, {"x": (1, 4, 4)}, constants)
