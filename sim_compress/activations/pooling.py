"""Pooling over windows of the spatial axes."""

from collections.abc import Iterator

import numpy as np

from sim_compress.activations.kind import Array, Attributes, Kind, Shape


def _windows(z: Array, a: Attributes) -> Array:
    """Sliding windows of the spatial axes: (channels, *out, samples, *kernel), -inf outside."""
    kernel, strides, dilations = a["kernel"], a["strides"], a["dilations"]
    pads = [(0, 0), *zip(a["pads_begin"], a["pads_end"], strict=True), (0, 0)]
    padded = np.pad(z, pads, constant_values=-np.inf)
    spatial = tuple(range(1, z.ndim - 1))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=spatial)
    steps = (slice(None), *(slice(None, None, s) for s in strides), slice(None))
    return windows[(*steps, *(slice(None, None, d) for d in dilations))]


def _max_pool(z: Array, a: Attributes) -> Array:
    windows = _windows(z, a)
    return windows.max(axis=tuple(range(z.ndim, windows.ndim)))


def _nearest_loser(z: Array, found: Array, a: Attributes) -> Array:
    """Entries that are no window's largest may take any value up to the least largest of their windows."""
    best = _max_pool(z, a)
    bound = np.full(tuple(s + b + e for s, b, e in zip(z.shape, *_pads(z, a), strict=True)), np.inf, z.dtype)
    for window in ((slice(None), *own) for own in windows_of(best.shape[1:-1], a)):
        bound[window] = np.minimum(bound[window], best)
    before, _ = _pads(z, a)
    inside = tuple(slice(b, size + b) for size, b in zip(z.shape, before, strict=True))
    bound = bound[inside]
    return np.where(z >= bound, z, np.minimum(found, bound))


def _pads(z: Array, a: Attributes) -> tuple[Shape, Shape]:
    """Padding before and after every axis of z."""
    return (0, *a["pads_begin"], 0)[: z.ndim], (0, *a["pads_end"], 0)[: z.ndim]


def windows_of(out: Shape, a: Attributes) -> Iterator[tuple[slice, ...]]:
    """For every offset in a window: the padded entries (*space) that stand there in each of the windows."""
    for offset in np.ndindex(*a["kernel"]):
        yield tuple(
            slice(o * d, o * d + (size - 1) * s + 1, s)
            for size, o, d, s in zip(out, offset, a["dilations"], a["strides"], strict=True)
        )


def _max_pool_shape(shape: Shape, a: Attributes) -> Shape:
    sizes = [a[key] for key in ("kernel", "strides", "dilations", "pads_begin", "pads_end")]
    if len(shape) < 2 or {len(s) for s in sizes} != {len(shape) - 1}:
        raise ValueError(f"max_pool of rank {sorted({len(s) for s in sizes})} on {shape}")
    if min(map(min, sizes[:3])) < 1 or min(map(min, sizes[3:])) < 0:
        raise ValueError(f"max_pool with non-positive sizes: {dict(a)}")
    out = tuple(
        (size + begin + end - (k - 1) * d - 1) // s + 1
        for size, k, s, d, begin, end in zip(shape[1:], *sizes, strict=True)
    )
    if min(out) < 1:
        raise ValueError(f"max_pool kernel {sizes[0]} larger than the padded input {shape}")
    return (shape[0], *out)


KINDS: dict[str, Kind] = {
    "max_pool": Kind(
        "largest in each window of (channels, *space), -inf outside; sizes as for patches",
        _max_pool,
        componentwise=False,
        state_shape=_max_pool_shape,
        nearest=_nearest_loser,
        attributes=("kernel", "strides", "dilations", "pads_begin", "pads_end"),
    ),
}
