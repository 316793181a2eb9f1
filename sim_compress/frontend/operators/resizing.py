"""Resized axes: interpolation is a fixed matrix along each of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from scipy import sparse

from sim_compress.errors import ModelFileError
from sim_compress.frontend.axes.rules import leading
from sim_compress.frontend.quiet import RUNTIME_ERRORS, first_line, open_session
from sim_compress.frontend.registry import Call, RefusalError, operator
from sim_compress.frontend.terms.expressions import mapped
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


@operator("Upsample", leading.resize, becomes="a matrix along each resized axis", limits="not the batch axis")
def upsample(call: Call) -> Affine:
    return _resized(call, _from_scales(call.setting("scales", 1)), "Upsample", 9)


@operator(
    "Resize",
    leading.resize,
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
    asked = _from_scales(scales) if scales.size else [Asked("sizes", int(s)) for s in call.constant(3)]
    return _resized(call, asked, "Resize", 11 if mode == "tf_half_pixel_for_nn" else 19)


def _from_scales(scales: Array | None) -> list[Asked]:
    return [Asked("scales", float(s)) for s in (() if scales is None else scales)]


def _resized(call: Call, asked: list[Asked], kind: str, opset: int) -> Affine:
    x = call.unweighted(0)
    axes = call.attribute("axes") or range(len(x.shape))
    settings = {name: call.attribute(name) for name in ALONG_AN_AXIS}
    maps = [
        AlongAxis(axis, _interpolation(settings, x.shape[axis], one, kind, opset))
        for axis, one in zip(axes, asked, strict=True)
        if not one.keeps(x.shape[axis])
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
