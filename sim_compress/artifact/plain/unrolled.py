"""The four matrices of equations (1a) and (1b), whole, with the order of states, inputs and outputs."""

from collections.abc import Iterable
from itertools import accumulate
from math import prod

from sim_compress.artifact.chains import encode_phi, narrowed
from sim_compress.artifact.decoder import Artifact
from sim_compress.artifact.fields import JSON
from sim_compress.artifact.plain.matrices import Plain, PlainSink
from sim_compress.artifact.spec import phi_name
from sim_compress.errors import InputError
from sim_compress.model import Shape, matrices, unrolled_bytes


def unrolled(artifact: Artifact, memory: float) -> Plain:
    """A (z, x), B (z, u and 1), C (y, x) and D (y, u and 1) of a model.

    Values are float32 where that holds them all, else float64.

    Args:
        memory: bytes that making them may take.

    Raises:
        InputError: they could take more, or a block looks rows of a table up.
    """
    model = artifact.model
    needed = unrolled_bytes(model)
    if needed > memory:
        raise InputError(
            f"the unrolled matrices may take {needed / 1e6:,.0f} MB of memory, more than "
            f"{memory / 1e6:,.0f} MB: export the tied rows, without --unrolled, or raise --memory"
        )
    whole = matrices(model)._asdict()
    for matrix in whole.values():
        matrix.data = narrowed(matrix.data)
    phis = PlainSink()
    metadata: dict[str, JSON] = {
        "form": "unrolled",
        "artifact": artifact.digest,
        "z": _places(
            (b.name, b.affine.shape, {"phi": encode_phi(b.phi, phi_name(i), phis)})
            for i, b in enumerate(model.blocks)
        ),
        "x": _places((b.name, b.shape, {}) for b in model.blocks),
        "u": _places((i.name, i.shape, {"dtype": i.dtype}) for i in model.inputs),
        "y": _places((o.name, o.shape, {}) for o in model.outputs),
        "provenance": artifact.provenance,
    }
    return Plain(metadata, whole, phis.arrays)


def _places(parts: Iterable[tuple[str, Shape, dict[str, JSON]]]) -> list[JSON]:
    """Where each part stands in the vector of all, row-major."""
    listed = list(parts)
    ends = [0, *accumulate(prod(shape) for _, shape, _ in listed)]
    return [
        {"name": name, "shape": list(shape), "start": start, "stop": stop, **more}
        for (name, shape, more), start, stop in zip(listed, ends, ends[1:], strict=False)
    ]
