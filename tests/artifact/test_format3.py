"""Files of version 3, written by the release before, are read as they were; damaged ones are refused."""

import json
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from sim_compress.artifact import encode, read
from sim_compress.artifact.format3.container import DICTIONARY
from sim_compress.certificate import certify
from sim_compress.errors import ArtifactError
from sim_compress.model import ImplicitModel
from tools.fuzz.damage import DAMAGE

from .breaking import refusal
from .crafting import PROVENANCE, encoded
from .models import feedforward_model, gated_model, looped_model, same

FILES = Path(__file__).parent / "format3"
MODELS = pytest.mark.parametrize(
    ("name", "model"),
    [("feedforward", feedforward_model()), ("looped", looped_model()), ("gated", gated_model())],
    ids=["feedforward", "looped", "gated"],
)


@MODELS
def test_a_file_of_version_3_is_read_as_it_was_written(name: str, model: ImplicitModel) -> None:
    found = read(FILES / f"{name}.safetensors")
    assert same(found.model, model)
    assert same(found.certificate, certify(model))
    assert found.provenance == PROVENANCE
    assert len(found.digest) == 64


@MODELS
def test_written_again_it_is_a_file_of_this_version(name: str, model: ImplicitModel) -> None:
    found = read(FILES / f"{name}.safetensors")
    assert encode(found.model, found.certificate, found.provenance) == encoded(model)


@MODELS
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found(kind: str, name: str, model: ImplicitModel, tmp_path: Path) -> None:
    rng, data = Random(kind), (FILES / f"{name}.safetensors").read_bytes()
    for _ in range(10):
        (tmp_path / "m.safetensors").write_bytes(DAMAGE[kind](rng, data))
        try:
            assert same(read(tmp_path / "m.safetensors").model, model)
        except ArtifactError:
            continue


def taken_apart(data: bytes) -> tuple[dict[str, Any], bytearray]:
    """Metadata and arrays of an intact file."""
    model = load(data)["model"].tobytes()
    end = 36 + int.from_bytes(model[32:36], "little")
    text = zlib.decompressobj(-15, zdict=DICTIONARY).decompress(model[36:end])
    return json.loads(text), bytearray(model[end:])


def put_together(stream: bytes, arrays: bytes) -> bytes:
    """A file of these parts with the digest that it has."""
    body = len(stream).to_bytes(4, "little") + stream + arrays
    model = np.frombuffer(sha256(body).digest() + body, np.uint8)
    return save({"model": model}, {"sim_compress": '{"version":3}'})


def deflated(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    return packer.compress(text) + packer.flush()


Edit = Callable[[dict[str, Any], bytearray], object]


def refused(edit: Edit, name: str, folder: Path) -> str:
    """The message for a stored file with one thing changed."""
    metadata, arrays = taken_apart((FILES / f"{name}.safetensors").read_bytes())
    edit(metadata, arrays)
    return refusal(put_together(deflated(json.dumps(metadata).encode()), bytes(arrays)), folder)


def weight(metadata: dict[str, Any], **fields: Any) -> None:
    """Other fields for A.3.0, which has 58 nonzeros of 6 x 500 entries."""
    metadata["blocks"][3]["terms"][0]["weight"] |= fields


RULES: list[tuple[str, Edit, str]] = [
    ("arrays end early", lambda _, a: a.pop(), "maps[1].matrix: expected 2 bytes, found 1"),
    ("arrays go on", lambda _, a: a.append(0), "constants to end with the last array, found 1 more"),
    ("rows end early", lambda m, _: m.update(constants=40), "B.0.0: expected 129 bytes, found"),
    ("rows go on", lambda m, _: m["outputs"][2].pop("bias"), "the rows to end with the last array, found 24"),
    ("constants begin nowhere", lambda m, _: m.update(constants=-1), "constants: expected a whole number in"),
    ("unknown source", lambda m, _: m["blocks"][0]["terms"][0].update(source=7), "a whole number in 0..6"),
    ("unary code too long", lambda m, _: weight(m, unary=10**6), "A.3.0: expected 1000000 bytes, found"),
    ("fewer numbers", lambda m, _: weight(m, count=57), "A.3.0: "),
    ("more than all", lambda m, _: weight(m, count=3001), "count: expected a whole number in 0..3000"),
    ("unary code too short", lambda m, _: weight(m, unary=20), "A.3.0: expected 116 numbers in unary"),
    ("rice of 32", lambda m, _: weight(m, rice=32), "rice: expected a whole number in 0..31"),
    ("another rice parameter", lambda m, _: weight(m, rice=6), "A.3.0: "),
    ("exponent twice", lambda m, _: weight(m, exponents=[1, 1]), "expected different exponents"),
    ("few exponents", lambda m, _: weight(m, exponents=[127]), "ranks below 1 exponents, found"),
    ("infinite exponent", lambda m, _: weight(m, exponents=[255]), "a whole number in 0..254"),
    ("rows and no number", lambda m, _: weight(m, columns=501), "weight (6, 501) on features"),
    ("bias true", lambda m, _: m["blocks"][0].update(bias=True), "bias: expected one of bfloat16"),
    ("key too many", lambda m, _: m.update(extra=1), "unknown key 'extra'"),
]


@pytest.mark.parametrize(("edit", "message"), [r[1:] for r in RULES], ids=[r[0] for r in RULES])
def test_a_file_that_breaks_a_rule_of_version_3_is_refused(edit: Edit, message: str, tmp_path: Path) -> None:
    assert message in refused(edit, "feedforward", tmp_path)


LOOPS: list[tuple[str, Edit, str]] = [
    ("no shapes", lambda m, _: m["certificate"].pop("scalings"), "certificate: expected the key 'scalings'"),
    (
        "one shape",
        lambda m, _: m["certificate"].update(scalings=[[1, 1]]),
        "expected 2 shapes, one for every",
    ),
    ("short", lambda m, _: m["certificate"].update(scalings=[[1, 1], [4, 3]]), "certificate.1: expected 96"),
    ("another rank", lambda m, _: m["certificate"].update(scalings=[[1], [1]]), "those of [4, 3], found [1]"),
    ("too large", lambda m, _: m["certificate"].update(scalings=[[2**30] * 2] * 2), "elements in all"),
]


@pytest.mark.parametrize(("edit", "message"), [r[1:] for r in LOOPS], ids=[r[0] for r in LOOPS])
def test_a_certificate_that_breaks_a_rule_of_version_3_is_refused(
    edit: Edit, message: str, tmp_path: Path
) -> None:
    assert message in refused(edit, "looped", tmp_path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "expected one tensor 'model', found []"),
        ({"model": np.zeros(99, np.uint8), "more": np.zeros(1)}, "found ['model', 'more']"),
        ({"model": np.zeros(99, np.int8)}, "tensor model: expected U8 of shape [36 or more], found I8"),
        ({"model": np.zeros((9, 11), np.uint8)}, "found U8 of shape [9, 11]"),
        ({"model": np.zeros(35, np.uint8)}, "found U8 of shape [35]"),
        ({"model": np.zeros(36, np.uint8)}, "damaged: its digest"),
    ],
)
def test_other_tensors_are_refused(tensors: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    assert message in refusal(save(tensors, {"sim_compress": '{"version":3}'}), tmp_path)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"", "metadata: expected a whole deflate stream"),
        (b"\xff" * 9, "metadata: expected a deflate stream, found an error"),
        (deflated(b"\xff"), "metadata: expected UTF-8"),
        (deflated(b" " * 2**24), "bytes in the deflate stream, found more"),
    ],
)
def test_metadata_that_cannot_be_unpacked_is_refused(stream: bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(put_together(stream, b""), tmp_path)


def test_metadata_that_goes_on_behind_the_end_is_refused(tmp_path: Path) -> None:
    body = (5).to_bytes(4, "little") + b"1234"
    model = np.frombuffer(sha256(body).digest() + body, np.uint8)
    data = save({"model": model}, {"sim_compress": '{"version":3}'})
    assert "metadata of at most 4 bytes, found 5" in refusal(data, tmp_path)
