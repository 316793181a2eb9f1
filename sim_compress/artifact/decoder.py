"""Bytes to model: every claim is checked before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim_compress.activations import Activation
from sim_compress.artifact.certificates import decode_certificate
from sim_compress.artifact.chains import decode_phi
from sim_compress.artifact.fields import JSON, Field, parse, shown
from sim_compress.artifact.limits import check_proof, check_total, state_shape
from sim_compress.artifact.rows import (
    AFFINE_KEYS,
    AFFINE_OPTIONS,
    Opened,
    Source,
    decode_affine,
    decode_shape,
    refusing,
)
from sim_compress.artifact.spec import INPUT_DTYPES, KEY, VERSION, block_part, output_part
from sim_compress.artifact.tensors import Tensors
from sim_compress.certificate import Certificate, verify
from sim_compress.errors import ArtifactError, CertificateError, InputError
from sim_compress.model import ImplicitModel, Input, Output, Shape, StateBlock

TOP_KEYS = ("version", "inputs", "blocks", "outputs", "certificate", "provenance")


class ForeignFileError(ArtifactError):
    """The file is whole, but of another program or version; the text says what to do."""


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
        ArtifactError: a rule of docs/format.md is broken; the text names the tensor or field.
    """
    tensors = Tensors(data)
    top = _metadata(data).entries(TOP_KEYS)
    provenance = top["provenance"].value
    if not isinstance(provenance, dict):
        raise top["provenance"].wrong("an object")
    model = _model(top, tensors)
    certificate = decode_certificate(top["certificate"], model, tensors)
    tensors.check_empty()
    _verify(model, certificate, len(data))
    return Artifact(model, certificate, provenance, len(data))


def _metadata(data: bytes) -> Field:
    """The metadata of a safetensors file, if of the version this code reads."""
    length = int.from_bytes(data[:8], "little")
    header = parse(data[8 : 8 + length].decode("utf-8"), "header").value
    strings = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(strings, dict) or KEY not in strings:
        raise ForeignFileError(f"expected a sim-compress artifact, found no metadata {KEY!r}: check the path")
    metadata = parse(Field(strings[KEY], KEY).text(), KEY)
    _check_version(metadata.value.get("version") if isinstance(metadata.value, dict) else None)
    return metadata


def _check_version(version: object) -> None:
    """Before all else: in another version, any other rule may differ."""
    if isinstance(version, int) and version > VERSION:
        raise ForeignFileError(
            f"format version {shown(version)} is newer than {VERSION}, the newest this program reads: "
            "run  pip install --upgrade sim-compress"
        )
    if type(version) is not int or version != VERSION:
        raise ArtifactError(f"expected format version {VERSION}, found {shown(version)}")


def _model(top: Mapping[str, Field], tensors: Tensors) -> ImplicitModel:
    inputs = tuple(_input(item) for item in top["inputs"].items())
    heads = [_head(item, tensors) for item in top["blocks"].items()]
    sources = (
        *(Source(i.name, i.shape, is_input=True) for i in inputs),
        *(Source(h.name, h.state, is_input=False) for h in heads),
    )
    opened = Opened(tensors, sources)
    blocks = tuple(
        StateBlock(h.name, decode_affine(h.entries, block_part(i), opened), h.phi)
        for i, h in enumerate(heads)
    )
    outputs = tuple(_output(item, i, opened) for i, item in enumerate(top["outputs"].items()))
    affines = [b.affine for b in (*blocks, *outputs)]
    with refusing("metadata"):
        check_total([*(s.shape for s in sources), *(a.shape for a in affines)])
    try:
        return ImplicitModel(inputs, blocks, outputs)
    except InputError as error:
        raise ArtifactError(str(error)) from error


def _input(item: Field) -> Input:
    entries = item.entries(("name", "shape", "dtype"))
    return Input(
        entries["name"].text(), decode_shape(entries["shape"]), entries["dtype"].choice(INPUT_DTYPES)
    )


def _head(item: Field, tensors: Tensors) -> _Head:
    entries = item.entries((*AFFINE_KEYS, "phi"), AFFINE_OPTIONS)
    phi = decode_phi(entries["phi"], tensors)
    with refusing(item.place):
        state = state_shape(phi, decode_shape(entries["shape"]))
    return _Head(entries, entries["name"].text(), phi, state)


def _output(item: Field, index: int, opened: Opened) -> Output:
    entries = item.entries(AFFINE_KEYS, AFFINE_OPTIONS)
    return Output(entries["name"].text(), decode_affine(entries, output_part(index), opened))


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
