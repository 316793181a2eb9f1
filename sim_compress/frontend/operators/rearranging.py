"""Reshapes and transposes: fixed maps that keep every entry and leave the batch axis alone."""

from math import prod

from sim_compress.frontend.expressions import mapped
from sim_compress.frontend.registry import Call, RefusalError, feature_axis, operator
from sim_compress.model import Affine, Reshape, Transpose

KEEPS_BATCH = "the batch axis stays first"


@operator("Identity", becomes="nothing")
def identity(call: Call) -> Affine:
    return call.affine(0)


@operator("Dropout", becomes="nothing", limits="not in training mode, without the mask output")
def dropout(call: Call) -> Affine:
    # One that drops values has been refused by `screening`.
    return call.affine(0)


@operator("Reshape", becomes="a reshape", limits=KEEPS_BATCH)
def reshape(call: Call) -> Affine:
    x, target = call.unweighted(0), call.numbers("shape", 1) or ()
    beyond = target[len(x.shape) + 1 :]
    if not target or 0 in beyond or (0 in target and call.attribute("allowzero", 0)):
        raise RefusalError(f"its target {target} does not fit {('batch', *x.shape)}")
    # 0 copies the axis at the same place.
    sizes = [x.shape[i - 1] if t == 0 and i else t for i, t in enumerate(target)][1:]
    known = prod(s for s in sizes if s > 0)
    shape = tuple(prod(x.shape) // known if s < 0 else s for s in sizes)
    if target[0] > 0 or prod(shape) != prod(x.shape):
        raise RefusalError(f"its target {target} moves the batch axis of {('batch', *x.shape)}")
    return mapped(x, Reshape(shape))


@operator("Flatten", becomes="a reshape", limits=KEEPS_BATCH)
def flatten(call: Call) -> Affine:
    x, axis = call.unweighted(0), call.attribute("axis", 1)
    rank = len(x.shape) + 1
    axis = axis + rank if axis < 0 else axis
    if axis == 0 or prod(x.shape[: axis - 1]) != 1:
        raise RefusalError("merges feature axes into the batch axis")
    return mapped(x, Reshape((prod(x.shape),)))


@operator("Squeeze", becomes="a reshape", limits="with axes; " + KEEPS_BATCH)
def squeeze(call: Call) -> Affine:
    x, axes = call.unweighted(0), call.numbers("axes", 1)
    if axes is None:
        raise RefusalError("has no axes, so that it would drop the batch axis of a single sample")
    gone = {feature_axis(a, len(x.shape)) for a in axes}
    return mapped(x, Reshape(tuple(s for i, s in enumerate(x.shape) if i not in gone)))


@operator("Unsqueeze", becomes="a reshape", limits=KEEPS_BATCH)
def unsqueeze(call: Call) -> Affine:
    x, axes = call.unweighted(0), call.numbers("axes", 1) or ()
    rank = len(x.shape) + len(axes)
    fresh = {feature_axis(a, rank) for a in axes}
    sizes = iter(x.shape)
    return mapped(x, Reshape(tuple(1 if i in fresh else next(sizes) for i in range(rank))))


@operator("Transpose", becomes="a transpose", limits=KEEPS_BATCH)
def transpose(call: Call) -> Affine:
    x = call.unweighted(0)
    order = call.attribute("perm") or range(len(x.shape), -1, -1)
    return mapped(x, Transpose(tuple(feature_axis(a, len(x.shape)) for a in order[1:])))


@operator("DepthToSpace", becomes="reshape, transpose, reshape")
def depth_to_space(call: Call) -> Affine:
    x, size = call.unweighted(0), call.attribute("blocksize")
    channels, height, width = _image(x)
    if channels % size**2:
        raise RefusalError(f"cuts {channels} channels into blocks of {size} x {size}")
    depth = channels // size**2
    if call.attribute("mode", "DCR") == "DCR":
        split, order = Reshape((size, size, depth, height, width)), Transpose((2, 3, 0, 4, 1))
    else:
        split, order = Reshape((depth, size, size, height, width)), Transpose((0, 3, 1, 4, 2))
    return mapped(x, split, order, Reshape((depth, height * size, width * size)))


@operator("SpaceToDepth", becomes="reshape, transpose, reshape")
def space_to_depth(call: Call) -> Affine:
    x, size = call.unweighted(0), call.attribute("blocksize")
    channels, height, width = _image(x)
    if height % size or width % size:
        raise RefusalError(f"cuts an image of {height} x {width} into blocks of {size} x {size}")
    split = Reshape((channels, height // size, size, width // size, size))
    merged = Reshape((channels * size**2, height // size, width // size))
    return mapped(x, split, Transpose((2, 4, 0, 1, 3)), merged)


def _image(x: Affine) -> tuple[int, int, int]:
    if len(x.shape) != 3:
        raise RefusalError(f"expects images, got an activation of shape {('batch', *x.shape)}")
    channels, height, width = x.shape
    return channels, height, width
