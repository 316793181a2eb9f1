"""A certificate as metadata and tensors: the order as block numbers, the scaling without constant axes."""

import numpy as np

from sim_compress.artifact.chains import Floats
from sim_compress.artifact.fields import JSON, Field
from sim_compress.artifact.spec import scaling_name
from sim_compress.artifact.tensors import Tensors
from sim_compress.certificate import KINDS, Certificate
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import ImplicitModel, StateBlock


def encode_certificate(
    certificate: Certificate, model: ImplicitModel, tensors: dict[str, Floats]
) -> dict[str, JSON]:
    """The metadata of a verified certificate; the scaling of a norm is added to `tensors`.

    Raises:
        InputError: the certificate carries more than its kind does.
    """
    if certificate.kind == "acyclic":
        if certificate.scaling or certificate.bound != 0:
            raise InputError(
                "expected an acyclic certificate of bound 0 without scaling: certify the model anew"
            )
        numbers = {block.name: i for i, block in enumerate(model.blocks)}
        return {"kind": "acyclic", "bound": 0.0, "order": [numbers[name] for name in certificate.order]}
    if certificate.order:
        raise InputError(
            f"expected a {certificate.kind} certificate without an order: certify the model anew"
        )
    for i, block in enumerate(model.blocks):
        tensors[scaling_name(i)] = _without_constant_axes(certificate.scaling[block.name])
    return {"kind": certificate.kind, "bound": float(certificate.bound)}


def _without_constant_axes(scaling: Floats) -> Floats:
    """The scaling with every axis along which it is constant cut to length 1; it broadcasts back."""
    for axis in range(scaling.ndim):
        first = scaling.take([0], axis=axis)
        if np.array_equal(np.broadcast_to(first, scaling.shape), scaling):
            scaling = first
    return np.array(scaling, "<f8", order="C")


def decode_certificate(field: Field, model: ImplicitModel, tensors: Tensors) -> Certificate:
    """The certificate as claimed; whether it holds is for `certificate.verify` to say.

    Raises:
        ArtifactError: its kind is unknown, or an entry or tensor is missing or out of bounds.
    """
    entries = field.entries(("kind", "bound"), ("order",))
    kind, bound = entries["kind"].choice(KINDS), entries["bound"].real()
    if kind == "acyclic":
        if bound != 0:
            raise entries["bound"].wrong("0 for an acyclic model")
        numbers = field.entries(("kind", "bound", "order"))["order"].integers(0, len(model.blocks) - 1)
        return Certificate(kind, bound, order=tuple(model.blocks[n].name for n in numbers))
    if "order" in entries:
        raise entries["order"].wrong(f"no order in a {kind} certificate")
    if not 0 <= bound < 1:
        raise entries["bound"].wrong("a number in 0..1, below 1")
    scaling = {block.name: _scaling(i, block, tensors) for i, block in enumerate(model.blocks)}
    return Certificate(kind, bound, scaling=scaling)


def _scaling(index: int, block: StateBlock, tensors: Tensors) -> Floats:
    """The scaling of one block, broadcast to its state without a copy."""
    stored = tensors.take(scaling_name(index), ("F64",))
    fits = stored.ndim == len(block.shape) and all(
        found in (1, size) for found, size in zip(stored.shape, block.shape, strict=True)
    )
    if not fits:
        raise ArtifactError(
            f"tensor {scaling_name(index)}: expected axes of 1 or those of {list(block.shape)}, "
            f"found {list(stored.shape)}"
        )
    return np.broadcast_to(stored, block.shape)
