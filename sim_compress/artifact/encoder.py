"""Model to bytes: canonical metadata and the arrays it refers to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.artifact.certificates import encode_certificate
from sim_compress.artifact.chains import encode_maps, encode_phi
from sim_compress.artifact.container import packed
from sim_compress.artifact.fields import JSON, MAX_DEPTH, shown
from sim_compress.artifact.matrix_encoder import Size, encode_matrix, encode_vector
from sim_compress.artifact.spec import DEFAULT_DTYPE, Part, block_part, output_part
from sim_compress.certificate import Certificate, verify
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, Input, Term, chain_shape


@dataclass(frozen=True)
class _Context:
    """What every part of the encoding shares: sources by number, and the arrays put aside so far."""

    model: ImplicitModel
    numbers: Mapping[str, int]
    rows: dict[str, NDArray[Any]] = field(default_factory=dict)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)


def encode(model: ImplicitModel, certificate: Certificate, provenance: Mapping[str, JSON]) -> bytes:
    """The bytes of an artifact; the same for the same model, certificate and provenance.

    Raises:
        CertificateError: the certificate does not hold for the model.
        InputError: a weight, map, certificate or provenance value has no place in the format.
    """
    metadata, arrays = laid_out(model, certificate, provenance)
    return packed(metadata, arrays.values())


def laid_out(
    model: ImplicitModel, certificate: Certificate, provenance: Mapping[str, JSON]
) -> tuple[dict[str, JSON], dict[str, NDArray[Any]]]:
    """The metadata, and the arrays by name in the order of the file; raises as `encode` does."""
    verify(model, certificate)
    # `shapes` lists the inputs first, then the blocks.
    context = _Context(model, {name: number for number, name in enumerate(model.shapes)})
    phis = [encode_phi(b.phi, context.constants) for b in model.blocks]
    metadata: dict[str, JSON] = {
        "inputs": [_input(i) for i in model.inputs],
        "blocks": [
            {"name": b.name, "phi": phi, **_affine(b.name, b.affine, block_part(i), context)}
            for i, (b, phi) in enumerate(zip(model.blocks, phis, strict=True))
        ],
        "outputs": [
            {"name": o.name, **_affine(o.name, o.affine, output_part(i), context)}
            for i, o in enumerate(model.outputs)
        ],
        "certificate": encode_certificate(certificate, model, context.constants),
        "provenance": _plain(provenance, "provenance", 1),
    }
    if context.constants:
        metadata["constants"] = sum(a.nbytes for a in context.rows.values())
    return metadata, {**context.rows, **context.constants}


def _input(given: Input) -> dict[str, JSON]:
    entry: dict[str, JSON] = {"name": given.name, "shape": list(given.shape)}
    return entry if given.dtype == DEFAULT_DTYPE else {**entry, "dtype": given.dtype}


def _affine(name: str, affine: Affine, part: Part, context: _Context) -> dict[str, JSON]:
    """Terms and bias of one block or output; entries that have their default are left out."""
    entry: dict[str, JSON] = {"shape": list(affine.shape)}
    if affine.row_axis:
        entry["row_axis"] = affine.row_axis
    try:
        if affine.bias is not None:
            entry["bias"] = _bias(affine.bias, part, context)
        entry["terms"] = [_term(term, i, affine.rows, part, context) for i, term in enumerate(affine.terms)]
    except InputError as error:
        raise InputError(f"block {name!r}: {error}") from error
    return entry


def _bias(values: NDArray[np.float32], part: Part, context: _Context) -> str:
    if values.dtype != np.float32:
        raise InputError(f"expected a float32 bias, found {values.dtype}: cast it")
    kind, context.rows[part.bias] = encode_vector(values)
    return kind


def _term(term: Term, index: int, rows: int, part: Part, context: _Context) -> dict[str, JSON]:
    """One term; `weight` is there exactly where a matrix is."""
    entry: dict[str, JSON] = {"source": context.numbers[term.source]}
    if term.maps:
        entry["maps"] = encode_maps(term.maps, context.constants)
    if term.weight is not None:
        features = chain_shape(term.maps, context.model.shapes[term.source])
        coded = encode_matrix(term.weight, Size(rows, features[0], term.groups))
        context.rows[part.matrix(index, context.model.is_input(term.source))] = coded.data
        entry["weight"] = coded.fields
    return entry


def _plain(value: object, place: str, depth: int) -> JSON:
    """The value as JSON holds it; InputError names the entry that JSON does not hold."""
    if depth >= MAX_DEPTH:
        raise InputError(f"{place}: expected at most {MAX_DEPTH} levels of nesting")
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise InputError(f"{place}: expected text as keys, found {shown(wrong[0])}")
        return {str(key): _plain(v, f"{place}.{key}", depth + 1) for key, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [_plain(v, f"{place}[{i}]", depth + 1) for i, v in enumerate(value)]
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    raise InputError(f"{place}: expected text, a finite number, a list or a mapping, found {shown(value)}")
