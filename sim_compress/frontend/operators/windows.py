"""Sliding windows of convolution and pooling: kernel, strides, dilations and padding of a node."""

from collections.abc import Sequence
from dataclasses import dataclass

from sim_compress.frontend.registry import Call, RefusalError
from sim_compress.frontend.terms.expressions import check_spread
from sim_compress.model import Pad, Patches, Shape


@dataclass(frozen=True)
class Windows:
    """Windows over spatial axes; `excess` is the padding that ceil_mode adds behind `after`."""

    kernel: Shape
    strides: Shape
    dilations: Shape
    before: Shape
    after: Shape
    excess: Shape

    @property
    def end(self) -> Shape:
        """All padding behind the last element of every axis."""
        return tuple(a + e for a, e in zip(self.after, self.excess, strict=True))

    @property
    def patches(self) -> Patches:
        return Patches(self.kernel, self.strides, self.dilations, self.before, self.end)


def windows_of(call: Call, shape: Shape, kernel: Shape) -> Windows:
    """The windows of a node on an activation (channels, *spatial).

    Raises:
        RefusalError: the node's settings and the shape do not fit.
    """
    spatial = shape[1:]
    strides = tuple(call.attribute("strides") or (1,) * len(spatial))
    dilations = tuple(call.attribute("dilations") or (1,) * len(spatial))
    pads = tuple(call.attribute("pads") or (0,) * (2 * len(spatial)))
    if {len(kernel), len(strides), len(dilations), len(pads) // 2} != {len(spatial)}:
        raise RefusalError(f"kernel {kernel} does not fit an activation of shape {shape}")
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    before, after = pads[: len(spatial)], pads[len(spatial) :]
    mode = call.attribute("auto_pad", "NOTSET")
    if mode == "VALID":
        before = after = (0,) * len(spatial)
    elif mode != "NOTSET":
        total = [_same(size, s, span) for size, s, span in zip(spatial, strides, spans, strict=True)]
        before, after = same_padding(total, mode)
    excess = (0,) * len(spatial)
    if call.attribute("ceil_mode", 0):
        excess = tuple(map(_excess, spatial, strides, spans, before, after))
    windows = Windows(kernel, strides, dilations, before, after, excess)
    try:
        windows.patches.out_shape(shape)
    except ValueError as error:
        raise RefusalError(str(error)) from error
    check_spread((Pad((0, *before), (0, *windows.end)),), shape)
    return windows


def same_padding(total: Sequence[int], mode: str) -> tuple[Shape, Shape]:
    """The padding of each axis before and after: an odd one is larger behind with SAME_UPPER, else before."""
    less, more = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return (less, more) if mode == "SAME_UPPER" else (more, less)


def _same(size: int, stride: int, span: int) -> int:
    """Padding that makes ceil(size / stride) windows."""
    return max((-(-size // stride) - 1) * stride + span - size, 0)


def _excess(size: int, stride: int, span: int, before: int, after: int) -> int:
    """Padding for the last, incomplete window, unless that would start behind the input."""
    count = -(-(size + before + after - span) // stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    return max((count - 1) * stride + span - (size + before + after), 0)
