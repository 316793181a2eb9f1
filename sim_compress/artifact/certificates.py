"""A certificate as metadata and arrays: the order as block numbers, the scaling without constant axes."""

import numpy as np

from sim_compress.artifact.arrays import Arrays
from sim_compress.artifact.chains import Floats
from sim_compress.artifact.fields import JSON, Field
from sim_compress.artifact.limits import MAX_ELEMENTS
from sim_compress.artifact.spec import scaling_name
from sim_compress.certificate import KINDS, Certificate
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel, StateBlock


def encode_certificate(
    certificate: Certificate, model: ImplicitModel, arrays: dict[str, Floats]
) -> dict[str, JSON]:
    """The metadata of a verified certificate; the scaling of a norm is added to `arrays`.

    Raises:
        InputError: the certificate carries more than its kind does.
    """
    if certificate.kind == "acyclic":
        if certificate.scaling or certificate.bound != 0:
            raise InputError(
                "expected an acyclic certificate of bound 0 without scaling: certify the model anew"
            )
        numbers = {block.name: i for i, block in enumerate(model.blocks)}
        order = [numbers[name] for name in certificate.order]
        entry: dict[str, JSON] = {"kind": "acyclic", "bound": 0.0}
        return entry if order == sorted(order) else {**entry, "order": order}
    if certificate.order:
        raise InputError(
            f"expected a {certificate.kind} certificate without an order: certify the model anew"
        )
    shapes: list[JSON] = []
    for i, block in enumerate(model.blocks):
        scaling = arrays[scaling_name(i)] = _without_constant_axes(certificate.scaling[block.name])
        shapes.append(list(scaling.shape))
    return {"kind": certificate.kind, "bound": float(certificate.bound), "scalings": shapes}


def _without_constant_axes(scaling: Floats) -> Floats:
    """The scaling with every axis along which it is constant cut to length 1; it broadcasts back."""
    for axis in range(scaling.ndim):
        first = scaling.take([0], axis=axis)
        if np.array_equal(np.broadcast_to(first, scaling.shape), scaling):
            scaling = first
    return np.array(scaling, "<f8", order="C")


def decode_certificate(field: Field, model: ImplicitModel, arrays: Arrays) -> Certificate:
    """The certificate as claimed; whether it holds is for `certificate.verify` to say.

    Raises:
        ArtifactError: its kind is unknown, or an entry or array is missing or out of bounds.
    """
    entries = field.entries(("kind", "bound"), ("order", "scalings"))
    kind, bound = entries["kind"].choice(KINDS), entries["bound"].real()
    if kind == "acyclic":
        field.entries(("kind", "bound"), ("order",))
        if bound != 0:
            raise entries["bound"].wrong("0 for an acyclic model")
        numbers = range(len(model.blocks))
        if "order" in entries:
            numbers = entries["order"].integers(0, len(model.blocks) - 1)
        return Certificate(kind, bound, order=tuple(model.blocks[n].name for n in numbers))
    shapes = field.entries(("kind", "bound", "scalings"))["scalings"]
    if not 0 <= bound < 1:
        raise entries["bound"].wrong("a number in 0..1, below 1")
    items = shapes.items()
    if len(items) != len(model.blocks):
        raise shapes.wrong(f"{len(model.blocks)} shapes, one for every block")
    blocks = enumerate(zip(model.blocks, items, strict=True))
    return Certificate(
        kind, bound, scaling={b.name: _scaling(i, b, shape, arrays) for i, (b, shape) in blocks}
    )


def _scaling(index: int, block: StateBlock, field: Field, arrays: Arrays) -> Floats:
    """The scaling of one block, broadcast to its state without a copy."""
    shape = field.integers(1, MAX_ELEMENTS)
    fits = len(shape) == len(block.shape) and all(
        found in (1, size) for found, size in zip(shape, block.shape, strict=True)
    )
    if not fits:
        raise field.wrong(f"axes of 1 or those of {list(block.shape)}")
    return np.broadcast_to(arrays.constant(scaling_name(index), "float64", shape), block.shape)
