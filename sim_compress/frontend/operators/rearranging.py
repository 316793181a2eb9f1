"""Reshapes and transposes: fixed maps that keep every entry."""

from sim_compress.frontend.axes.rules import filling
from sim_compress.frontend.axes.rules import rearranging as rules
from sim_compress.frontend.axes.rules.elementwise import first_input
from sim_compress.frontend.axes.rules.leading import channels
from sim_compress.frontend.registry import Call, RefusalError, operator, rewritten
from sim_compress.frontend.terms.expressions import mapped
from sim_compress.model import Affine, Reshape, Transpose

APART = "the samples stay apart"


@operator("Identity", rules.identity, becomes="nothing")
def identity(call: Call) -> Affine:
    return call.affine(0)


@operator("Dropout", first_input, becomes="nothing", limits="not in training mode, without the mask output")
def dropout(call: Call) -> Affine:
    # One that drops values has been refused by `screening`.
    return call.affine(0)


@operator("Reshape", rules.reshape, becomes="a reshape", limits=APART)
def reshape(call: Call) -> Affine:
    return mapped(call.unweighted(0), Reshape(call.numbers("shape", 1) or ()))


for _name, _rule in {
    "Flatten": rules.flatten,
    "Squeeze": rules.squeeze,
    "Unsqueeze": rules.unsqueeze,
}.items():
    rewritten(_name, _rule, "rearranging", becomes="a reshape", limits=APART)


@operator("Transpose", rules.transpose, becomes="a transpose")
def transpose(call: Call) -> Affine:
    return mapped(call.unweighted(0), Transpose(tuple(call.attribute("perm"))))


rewritten(
    "ReverseSequence",
    rules.reverse_sequence,
    "rearranging",
    becomes="entries picked",
    limits="one constant length; not along the batch axis",
)


@operator("DepthToSpace", channels, becomes="reshape, transpose, reshape")
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


@operator("SpaceToDepth", channels, becomes="reshape, transpose, reshape")
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
        raise RefusalError(f"expects images, got an activation of shape {x.shape}")
    channels, height, width = x.shape
    return channels, height, width


for _name, _rule in {
    "Shape": filling.shape_of,
    "Size": filling.size_of,
    "ConstantOfShape": filling.constant_of_shape,
    "Range": filling.counts,
}.items():
    rewritten(_name, _rule, "shapes", becomes="a constant", limits="no more than shapes decide")
