"""Spelled-out functions, recognised by what they compute and not by how they are spelled.

GELU, SiLU, layer normalisation and their kin come as five to twenty nodes, in as many spellings as there are
exporters. A region of the graph is run on probes; where its result is that of one phi it becomes one block.
Whatever is not recognised is lowered node by node, which is exact as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.activations import Activation
from sim_compress.errors import ModelFileError
from sim_compress.frontend.lower.regions import COMPONENTWISE, Region, Regions
from sim_compress.frontend.quiet import RUNTIME_ERRORS, open_session
from sim_compress.frontend.weights import Weights, to_array
from sim_compress.model import LinearMap, Offset, Scale, Shape
from sim_compress.model.maps import Array

# Float32 results of two spellings of one function, relative to the larger of the result and 1.
CLOSE = 1e-5
# Variances by the difference of two means lose some digits more.
CLOSE_NORMALISED = 2e-4
GRID = np.concatenate([np.linspace(-12, 12, 2401), np.linspace(-60, 60, 121)]).astype(np.float32)
# Spreads of the probes; small ones tell the epsilons of normalisations apart.
SPREADS = (1.0, 0.1, 0.01, 0.001, 4.0)
ENDS = frozenset(("Add", "Sub", "Mul", "Div", "Clip"))
BENDS = COMPONENTWISE - {"Add", "Cast", "Div", "Mul", "Neg", "Sub"}


@dataclass(frozen=True, eq=False)
class Recognised:
    """A region that is one phi of its root, with the maps that are left behind it."""

    region: Region
    phi: Activation
    maps: tuple[LinearMap, ...] = ()


def recognised(
    model: onnx.ModelProto, weights: Weights, shapes: Mapping[str, Shape]
) -> dict[str, Recognised]:
    """The regions of a graph that are one phi, by the tensor that they give; they share no node.

    Args:
        model: nodes in topological order, for one sample.
        weights: those of its stubs.
        shapes: of tensors as far as known.
    """
    graph = model.graph
    constants = {i.name: to_array(i, weights) for i in graph.initializer}
    found: dict[str, Recognised] = {}
    taken: set[str] = set()
    finder = Regions(graph)
    for end in reversed(range(len(graph.node))):
        node = graph.node[end]
        if node.op_type not in ENDS or taken.intersection(node.output):
            continue
        for region in reversed(list(finder.ending_at(end))):
            if region.root in shapes and (match := _match(model, region, shapes[region.root], constants)):
                found[region.result] = match
                taken.update(name for n in region.nodes for name in n.output)
                break
    return found


def _match(
    model: onnx.ModelProto, region: Region, shape: Shape, constants: Mapping[str, Array]
) -> Recognised | None:
    """The phi that a region is, None where it is none that is known."""
    if not region.operators & BENDS:
        return None
    values = [constants[name] for name in region.constants]
    floats = (v for v in values if v.size == 1 and v.dtype.kind == "f")
    scalars = sorted({float(v.item()) for v in floats if np.isfinite(v).all()})
    if region.operators <= COMPONENTWISE:
        if any(v.size > 1 for v in values):
            return None
        grid = GRID.reshape(-1, *(1,) * (len(shape) - 1))
        return _fitting(model, region, constants, [grid], _componentwise(scalars), (), CLOSE)
    axes = _axes(region, constants)
    if not axes:
        return None
    rng = np.random.default_rng(0)
    probes = [spread * rng.standard_normal(shape, np.float32) for spread in SPREADS]
    behind = [v for v in values if v.size > 1 and v.dtype == np.float32]
    return _fitting(model, region, constants, probes, _grouped(axes, scalars), behind, CLOSE_NORMALISED)


def _componentwise(scalars: Sequence[float]) -> Iterator[Activation]:
    """Functions that exporters spell out, entry by entry."""
    yield from (Activation(name) for name in ("gelu", "gelu_tanh", "hard_swish", "mish", "softplus"))
    yield from (Activation("swish", {"alpha": alpha}) for alpha in (1.0, *scalars))
    yield Activation("hard_sigmoid", {"alpha": 1 / 6, "beta": 0.5})


def _grouped(axes: Shape, scalars: Sequence[float]) -> Iterator[Activation]:
    """Normalisations along axes, with every small constant of the region as epsilon."""
    yield from (Activation(name, {"axes": axes}) for name in ("softmax", "log_softmax"))
    for epsilon in (0.0, *(s for s in scalars if 0 < s < 1)):
        yield from (
            Activation(name, {"axes": axes, "epsilon": epsilon}) for name in ("layer_norm", "rms_norm")
        )
        yield from (Activation("lp_norm", {"axes": axes, "p": p, "epsilon": epsilon}) for p in (1, 2))


def _axes(region: Region, constants: Mapping[str, Array]) -> Shape:
    """The axes that all reductions of a region share; none where they differ."""
    found = set()
    for node in region.nodes:
        if node.op_type.startswith("Reduce"):
            own = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "axes"), None)
            if own is None and len(node.input) > 1:
                own = constants[node.input[1]].ravel()
            found.add(tuple(sorted(int(a) for a in (() if own is None else own))))
    return found.pop() if len(found) == 1 else ()


def _fitting(
    model: onnx.ModelProto,
    region: Region,
    constants: Mapping[str, Array],
    probes: Sequence[Array],
    candidates: Iterator[Activation],
    behind: Sequence[Array],
    tolerance: float,
) -> Recognised | None:
    """The first candidate that gives the region's result, with constants of the region as scale and shift."""
    z, wanted = np.stack(probes, -1), _results(model, region, constants, probes)
    if wanted is None or wanted.shape != z.shape or not np.isfinite(wanted).all():
        return None
    fitting = list(_broadcasting(behind, z.shape[:-1]))
    for phi in candidates:
        x = phi(z)
        for scale, shift in product((None, *fitting), (None, *fitting)):
            found = (x if scale is None else x * scale[..., None]) + (
                0 if shift is None else shift[..., None]
            )
            error = np.abs(found - wanted) / np.maximum(np.abs(wanted), 1)
            if error.max() <= tolerance:
                return Recognised(region, phi, _maps(scale, shift))
    return None


def _broadcasting(constants: Sequence[Array], shape: Shape) -> Iterator[Array]:
    """The constants that broadcast to a shape."""
    for constant in constants:
        sizes = zip(reversed(constant.shape), reversed(shape), strict=False)
        if constant.ndim <= len(shape) and all(size in (1, full) for size, full in sizes):
            yield constant


def _maps(scale: Array | None, shift: Array | None) -> tuple[LinearMap, ...]:
    maps: tuple[LinearMap, ...] = () if scale is None else (Scale(scale),)
    return maps if shift is None else (*maps, Offset(shift))


def _results(
    model: onnx.ModelProto, region: Region, constants: Mapping[str, Array], probes: Sequence[Array]
) -> Array | None:
    """What a region computes for probes, (*shape, probes); None where they do not fit it."""
    dims = [None] * probes[0].ndim
    graph = helper.make_graph(
        region.nodes,
        "region",
        [helper.make_tensor_value_info(region.root, onnx.TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info(region.result, onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(constants[name], name) for name in region.constants],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        session = open_session(part)
        return np.stack([np.asarray(session.run(None, {region.root: p})[0]) for p in probes], -1)
    except (ModelFileError, ValueError, *RUNTIME_ERRORS):
        return None
