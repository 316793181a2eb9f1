"""Model to metadata: canonical JSON that refers to the arrays it puts aside."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sim_compress.artifact.certificates import encode_certificate
from sim_compress.artifact.chains import encode_maps, encode_phi
from sim_compress.artifact.fields import JSON, MAX_DEPTH, shown
from sim_compress.artifact.spec import DEFAULT_DTYPE, Part, block_part, output_part, phi_name
from sim_compress.artifact.store import Sink
from sim_compress.certificate import Certificate
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, Input, Term


def described(
    model: ImplicitModel, certificate: Certificate, provenance: Mapping[str, JSON], sink: Sink
) -> dict[str, JSON]:
    """The metadata of a model whose arrays go into the sink; its certificate is known to hold.

    Raises:
        InputError: a weight, map, certificate or provenance value has no place in the format.
    """
    phis = [encode_phi(b.phi, phi_name(i), sink) for i, b in enumerate(model.blocks)]
    return {
        "inputs": [_input(i) for i in model.inputs],
        "blocks": [
            {"name": b.name, "phi": phi, **_affine(b.name, b.affine, block_part(i), model, sink)}
            for i, (b, phi) in enumerate(zip(model.blocks, phis, strict=True))
        ],
        "outputs": [
            {"name": o.name, **_affine(o.name, o.affine, output_part(len(model.blocks) + i), model, sink)}
            for i, o in enumerate(model.outputs)
        ],
        "certificate": encode_certificate(certificate, model, sink),
        "provenance": _plain(provenance, "provenance", 1),
    }


def _input(given: Input) -> dict[str, JSON]:
    entry: dict[str, JSON] = {"name": given.name, "shape": list(given.shape)}
    return entry if given.dtype == DEFAULT_DTYPE else {**entry, "dtype": given.dtype}


def _affine(name: str, affine: Affine, part: Part, model: ImplicitModel, sink: Sink) -> dict[str, JSON]:
    """Terms and bias of one block or output; entries that have their default are left out."""
    entry: dict[str, JSON] = {"shape": list(affine.shape)}
    if affine.row_axis:
        entry["row_axis"] = affine.row_axis
    try:
        if affine.bias is not None:
            if affine.bias.dtype != np.float32:
                raise InputError(f"expected a float32 bias, found {affine.bias.dtype}: cast it")
            entry["bias"] = sink.bias(part.bias, affine.bias)
        entry["terms"] = [
            _term(term, part.matrix(i, model.is_input(term.source)), sink)
            for i, term in enumerate(affine.terms)
        ]
    except InputError as error:
        raise InputError(f"block {name!r}: {error}") from error
    return entry


def _term(term: Term, name: str, sink: Sink) -> dict[str, JSON]:
    """One term; `weight` is there exactly where a matrix is."""
    entry: dict[str, JSON] = {"source": term.source}
    if term.maps:
        entry["maps"] = encode_maps(term.maps, name, sink)
    if term.weight is not None:
        entry["weight"] = sink.matrix(name, term.weight, term.groups)
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
