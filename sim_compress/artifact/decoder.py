"""Bytes to model: every claim is checked before it is used."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim_compress.activations import Activation
from sim_compress.artifact import container, format3
from sim_compress.artifact.certificates import decode_certificate
from sim_compress.artifact.chains import decode_phi
from sim_compress.artifact.fields import JSON, Field, shown
from sim_compress.artifact.limits import check_proof, check_total, refusing, state_shapes
from sim_compress.artifact.rows import (
    AFFINE_KEYS,
    AFFINE_OPTIONS,
    Opened,
    decode_affine,
    decode_shape,
)
from sim_compress.artifact.spec import DEFAULT_DTYPE, INPUT_DTYPES, VERSION, block_part, output_part
from sim_compress.artifact.store import Source, Store
from sim_compress.certificate import Certificate, verify
from sim_compress.errors import ArtifactError, CertificateError, InputError
from sim_compress.model import ImplicitModel, Input, Output, Shape, StateBlock

TOP_KEYS = ("inputs", "blocks", "outputs", "certificate", "provenance")
# How a file of each version that can be read is opened.
OPENERS: Mapping[int, Callable[[container.File], tuple[Field, Store]]] = {
    3: format3.opened,
    VERSION: container.opened,
}


@dataclass(frozen=True, eq=False)
class Artifact:
    """What a file holds.

    Attributes:
        model: the sparse implicit model; weights are canonical float32 CSR.
        certificate: verified against the stored values.
        provenance: what the writer was told about where the model comes from.
        size: bytes of the file.
        digest: SHA-256 of the whole as the file states it, verified.
        header: of the safetensors file.
    """

    model: ImplicitModel
    certificate: Certificate
    provenance: Mapping[str, JSON]
    size: int
    digest: str
    header: Mapping[str, Any]


@dataclass(frozen=True)
class _Head:
    """A block without its rows: what terms elsewhere need to know of it."""

    entries: Mapping[str, Field]
    name: str
    phi: Activation
    state: Shape


def decode(data: container.Data) -> Artifact:
    """The artifact behind the bytes of a file.

    Raises:
        ArtifactError: a rule of docs/format.md is broken; the text names the array or field.
    """
    file = container.taken_apart(data)
    metadata, store = _opened(file)
    top = metadata.entries(TOP_KEYS)
    provenance = top["provenance"].value
    if not isinstance(provenance, dict):
        raise top["provenance"].wrong("an object")
    model = _model(top, store)
    certificate = decode_certificate(top["certificate"], model, store)
    store.check_end()
    _verify(model, certificate, len(data))
    return Artifact(model, certificate, provenance, len(data), store.digest, file.header)


def _opened(file: container.File) -> tuple[Field, Store]:
    """The metadata and the arrays of a file of a version that can be read."""
    if file.version > VERSION:
        raise container.ForeignFileError(
            f"format version {shown(file.version)} is newer than {VERSION}, the newest this program reads: "
            "run  pip install --upgrade sim-compress"
        )
    if file.version not in OPENERS:
        raise container.ForeignFileError(
            f"format version {shown(file.version)} is older than {min(OPENERS)}, the oldest this program "
            "reads: compress the network again, or read the file with the sim-compress that wrote it"
        )
    return OPENERS[file.version](file)


def _model(top: Mapping[str, Field], store: Store) -> ImplicitModel:
    inputs = tuple(_input(item) for item in top["inputs"].items())
    store.allowance.arrays(top["inputs"].place, [i.shape for i in inputs])
    heads = [_head(item, store) for item in top["blocks"].items()]
    sources = [
        *(Source(i.name, i.shape, is_input=True) for i in inputs),
        *(Source(h.name, h.state, is_input=False) for h in heads),
    ]
    shared = Opened(store, _by_name(sources))
    blocks = tuple(
        StateBlock(h.name, decode_affine(h.entries, block_part(i), shared), h.phi)
        for i, h in enumerate(heads)
    )
    outputs = tuple(_output(item, len(blocks) + i, shared) for i, item in enumerate(top["outputs"].items()))
    affines = [b.affine for b in (*blocks, *outputs)]
    with refusing("metadata"):
        check_total([*(s.shape for s in sources), *(a.shape for a in affines)])
    try:
        return ImplicitModel(inputs, blocks, outputs)
    except InputError as error:
        raise ArtifactError(str(error)) from error


def _by_name(sources: list[Source]) -> dict[str, Source]:
    found = {source.name: source for source in sources}
    if len(found) < len(sources):
        twice = min(name for name, count in Counter(s.name for s in sources).items() if count > 1)
        raise ArtifactError(f"expected unique names of inputs and blocks, found {shown(twice)} twice")
    return found


def _input(item: Field) -> Input:
    entries = item.entries(("name", "shape"), ("dtype",))
    dtype = entries["dtype"].choice(INPUT_DTYPES) if "dtype" in entries else DEFAULT_DTYPE
    return Input(entries["name"].text(), decode_shape(entries["shape"]), dtype)


def _head(item: Field, store: Store) -> _Head:
    entries = item.entries((*AFFINE_KEYS, "phi"), AFFINE_OPTIONS)
    phi = decode_phi(entries["phi"], store)
    with refusing(item.place):
        shapes = state_shapes(phi, decode_shape(entries["shape"]))
    store.allowance.arrays(item.place, shapes)
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
