"""Resized axes: interpolation is a fixed matrix along each of them."""

from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from scipy import sparse

from sim_compress.errors import ModelFileError
from sim_compress.frontend.expressions import mapped
from sim_compress.frontend.quiet import RUNTIME_ERRORS, first_line, open_session
from sim_compress.frontend.registry import Call, RefusalError, operator
from sim_compress.model import Affine, AlongAxis
from sim_compress.model.maps import Array

IR_VERSION = 8
# Settings that mean along one axis what they mean along all.
ALONG_AN_AXIS = (
    "antialias",
    "coordinate_transformation_mode",
    "cubic_coeff_a",
    "exclude_outside",
    "mode",
    "nearest_mode",
)


@dataclass(frozen=True)
class Asked:
    """What is asked of one axis: `amount` is its new size, or the factor of its size."""

    kind: str
    amount: float

    def keeps(self, size: int) -> bool:
        """Whether an axis of this size stays as it is."""
        return self.amount == (size if self.kind == "sizes" else 1)


@operator("Upsample", becomes="a matrix along each resized axis", limits="not the batch axis")
def upsample(call: Call) -> Affine:
    return _resized(call, _from_scales(call.setting("scales", 1)), "Upsample", 9)


@operator(
    "Resize",
    becomes="a matrix along each resized axis",
    limits="constant scales or sizes, not the batch axis; not tf_crop_and_resize",
)
def resize(call: Call) -> Affine:
    mode = call.attribute("coordinate_transformation_mode")
    if mode == "tf_crop_and_resize":
        raise RefusalError("crops (tf_crop_and_resize)")
    if len(call.positions) == 2:
        return _resized(call, _from_scales(call.constant(1)), "Resize", 10)
    scales = call.constant(2) if call.has(2) else np.zeros(0)
    shape = call.affine(0).shape
    asked = _spread(call, _from_scales(scales) if scales.size else _from_sizes(call, shape), len(shape))
    return _resized(call, asked, "Resize", 11 if mode == "tf_half_pixel_for_nn" else 19)


def _from_scales(scales: Array | None) -> list[Asked]:
    return [Asked("scales", float(s)) for s in (() if scales is None else scales)]


def _from_sizes(call: Call, shape: tuple[int, ...]) -> list[Asked]:
    """The sizes, or the one scale that keeps the aspect ratio."""
    sizes = [int(s) for s in call.constant(3)]
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return [Asked("sizes", s) for s in sizes]
    axes = call.attribute("axes") or range(len(shape) + 1)
    ratios = [s / shape[(a % (len(shape) + 1)) - 1] for a, s in zip(axes, sizes, strict=True) if a]
    scale = float(np.float32((min if policy == "not_larger" else max)(ratios)))
    if any(floor(n * scale) != floor(n * scale + 0.5) for n in shape[1:]):
        raise RefusalError(f"rounds a size that keeps the aspect ratio ({policy})")
    return [Asked("scales", scale if a else 1.0) for a in axes]


def _spread(call: Call, asked: list[Asked], rank: int) -> list[Asked]:
    """What is asked of every axis of the graph, the batch axis first."""
    axes = call.attribute("axes")
    if axes is None:
        return asked
    spread = [Asked("scales", 1.0)] * (rank + 1)
    for axis, one in zip(axes, asked, strict=True):
        spread[axis] = one
    return spread


def _resized(call: Call, asked: list[Asked], kind: str, opset: int) -> Affine:
    x = call.unweighted(0)
    if len(asked) != len(x.shape) + 1 or not asked[0].keeps(1) or asked[0].kind == "sizes":
        raise RefusalError(f"resizes the batch axis of {('batch', *x.shape)}, or not all axes")
    settings = {name: call.attribute(name) for name in ALONG_AN_AXIS}
    maps = [
        AlongAxis(axis, _interpolation(settings, size, one, kind, opset))
        for axis, (size, one) in enumerate(zip(x.shape, asked[1:], strict=True))
        if not one.keeps(size)
    ]
    return mapped(x, *maps)


def _interpolation(
    settings: dict[str, Any], size: int, asked: Asked, kind: str, opset: int
) -> sparse.csr_array:
    """The matrix (out, size) along one axis: what onnxruntime makes of the unit vectors."""
    units = np.eye(size, dtype=np.float32)[None, :, :, None]
    scales = np.array([1, 1, asked.amount, 1], np.float32)
    sizes = np.array([1, size, asked.amount, 1], np.int64)
    constants: dict[str, Array] = {"scales": scales} if asked.kind == "scales" else {"sizes": sizes}
    region = "" if opset != 11 else "roi"
    if region:
        constants[region] = np.zeros(0, np.float32)
    optional = [name if name in constants else "" for name in ("scales", "sizes")]
    names = ["x", "scales"] if opset < 11 else ["x", region, *optional]
    given = {name: value for name, value in settings.items() if value is not None}
    node = helper.make_node(kind, names, ["y"], **given)
    graph = helper.make_graph(
        [node],
        "interpolation",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, units.shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", opset)])
    try:
        session = open_session(model)
        out = np.asarray(session.run(None, {"x": units})[0])
    except (ModelFileError, *RUNTIME_ERRORS) as error:
        raise RefusalError(f"cannot be taken axis by axis: {first_line(error)}") from error
    return sparse.csr_array(np.ascontiguousarray(out[0, :, :, 0].T))
