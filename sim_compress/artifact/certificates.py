"""A certificate as metadata and arrays: the order as block numbers, the scaling without constant axes."""

import numpy as np

from sim_compress.artifact.fields import JSON, Field
from sim_compress.artifact.spec import scaling_name
from sim_compress.artifact.store import Floats, Sink, Store
from sim_compress.certificate import KINDS, Certificate
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import ImplicitModel, StateBlock


def encode_certificate(certificate: Certificate, model: ImplicitModel, sink: Sink) -> dict[str, JSON]:
    """The metadata of a verified certificate; the scaling of a norm goes into the sink.

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
    for i, block in enumerate(model.blocks):
        sink.scaling(scaling_name(i), _without_constant_axes(certificate.scaling[block.name]))
    return {"kind": certificate.kind, "bound": float(certificate.bound)}


def _without_constant_axes(scaling: Floats) -> Floats:
    """The scaling with every axis along which it is constant cut to length 1; it broadcasts back."""
    for axis in range(scaling.ndim):
        first = scaling.take([0], axis=axis)
        if np.array_equal(np.broadcast_to(first, scaling.shape), scaling):
            scaling = first
    return np.array(scaling, "<f8", order="C")


def decode_certificate(field: Field, model: ImplicitModel, store: Store) -> Certificate:
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
    if not 0 <= bound < 1:
        raise entries["bound"].wrong("a number in 0..1, below 1")
    arrays = enumerate(zip(model.blocks, store.scalings(field, model), strict=True))
    return Certificate(kind, bound, scaling={b.name: _scaling(i, b, array) for i, (b, array) in arrays})


def _scaling(index: int, block: StateBlock, scaling: Floats) -> Floats:
    """The scaling of one block, broadcast to its state without a copy."""
    fits = scaling.ndim == len(block.shape) and all(
        found in (1, size) for found, size in zip(scaling.shape, block.shape, strict=True)
    )
    if not fits:
        raise ArtifactError(
            f"{scaling_name(index)}: expected axes of 1 or those of {list(block.shape)}, "
            f"found {list(scaling.shape)}"
        )
    return np.broadcast_to(scaling, block.shape)
