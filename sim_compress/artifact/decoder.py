"""Bytes to model: every claim is checked before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim_compress.activations import Activation
from sim_compress.artifact.arrays import Allowance, Arrays
from sim_compress.artifact.certificates import decode_certificate
from sim_compress.artifact.chains import decode_phi
from sim_compress.artifact.container import opened
from sim_compress.artifact.fields import JSON, Field
from sim_compress.artifact.limits import check_proof, check_total, refusing, state_shapes
from sim_compress.artifact.rows import (
    AFFINE_KEYS,
    AFFINE_OPTIONS,
    Opened,
    Source,
    decode_affine,
    decode_shape,
)
from sim_compress.artifact.spec import DEFAULT_DTYPE, INPUT_DTYPES, block_part, output_part
from sim_compress.certificate import Certificate, verify
from sim_compress.errors import ArtifactError, CertificateError, InputError
from sim_compress.model import ImplicitModel, Input, Output, Shape, StateBlock

TOP_KEYS = ("inputs", "blocks", "outputs", "certificate", "provenance")
TOP_OPTIONS = ("constants",)


@dataclass(frozen=True, eq=False)
class Artifact:
    """What a file holds.

    Attributes:
        model: the sparse implicit model; weights are canonical float32 CSR.
        certificate: verified against the stored values.
        provenance: what the writer was told about where the model comes from.
        size: bytes of the file.
    """

    model: ImplicitModel
    certificate: Certificate
    provenance: Mapping[str, JSON]
    size: int


@dataclass(frozen=True)
class _Head:
    """A block without its rows: what terms elsewhere need to know of it."""

    entries: Mapping[str, Field]
    name: str
    phi: Activation
    state: Shape


def decode(data: bytes) -> Artifact:
    """The artifact behind the bytes of a file.

    Raises:
        ArtifactError: a rule of docs/format.md is broken; the text names the array or field.
    """
    metadata, stored = opened(data)
    top = metadata.entries(TOP_KEYS, TOP_OPTIONS)
    provenance = top["provenance"].value
    if not isinstance(provenance, dict):
        raise top["provenance"].wrong("an object")
    end = top["constants"].integer(0, len(stored)) if "constants" in top else len(stored)
    allowance = Allowance(len(data))
    rows, constants = Arrays(stored[:end], allowance), Arrays(stored[end:], allowance)
    model = _model(top, rows, constants)
    certificate = decode_certificate(top["certificate"], model, constants)
    rows.check_end("rows")
    constants.check_end("constants")
    _verify(model, certificate, len(data))
    return Artifact(model, certificate, provenance, len(data))


def _model(top: Mapping[str, Field], rows: Arrays, constants: Arrays) -> ImplicitModel:
    inputs = tuple(_input(item) for item in top["inputs"].items())
    constants.allowance.arrays(top["inputs"].place, [i.shape for i in inputs])
    heads = [_head(item, constants) for item in top["blocks"].items()]
    sources = (
        *(Source(i.name, i.shape, is_input=True) for i in inputs),
        *(Source(h.name, h.state, is_input=False) for h in heads),
    )
    shared = Opened(rows, constants, sources)
    blocks = tuple(
        StateBlock(h.name, decode_affine(h.entries, block_part(i), shared), h.phi)
        for i, h in enumerate(heads)
    )
    outputs = tuple(_output(item, i, shared) for i, item in enumerate(top["outputs"].items()))
    affines = [b.affine for b in (*blocks, *outputs)]
    with refusing("metadata"):
        check_total([*(s.shape for s in sources), *(a.shape for a in affines)])
    try:
        return ImplicitModel(inputs, blocks, outputs)
    except InputError as error:
        raise ArtifactError(str(error)) from error


def _input(item: Field) -> Input:
    entries = item.entries(("name", "shape"), ("dtype",))
    dtype = entries["dtype"].choice(INPUT_DTYPES) if "dtype" in entries else DEFAULT_DTYPE
    return Input(entries["name"].text(), decode_shape(entries["shape"]), dtype)


def _head(item: Field, constants: Arrays) -> _Head:
    entries = item.entries((*AFFINE_KEYS, "phi"), AFFINE_OPTIONS)
    phi = decode_phi(entries["phi"], constants)
    with refusing(item.place):
        shapes = state_shapes(phi, decode_shape(entries["shape"]))
    constants.allowance.arrays(item.place, shapes)
    return _Head(entries, entries["name"].text(), phi, shapes[-1])


def _output(item: Field, index: int, shared: Opened) -> Output:
    entries = item.entries(AFFINE_KEYS, AFFINE_OPTIONS)
    return Output(entries["name"].text(), decode_affine(entries, output_part(index), shared))


def _verify(model: ImplicitModel, certificate: Certificate, size: int) -> None:
    """ArtifactError unless the certificate holds for the stored values."""
    with refusing("certificate"):
        if certificate.kind != "acyclic":
            check_proof(model, size)
    try:
        # Values of a hostile file may overflow; the infinity then fails the proof.
        with np.errstate(all="ignore"):
            verify(model, certificate)
    except CertificateError as error:
        raise ArtifactError(f"certificate: {error}") from error
