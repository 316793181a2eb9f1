"""A few hundred spoilt files; tools/bench/fuzz.py tries tens of thousands."""

from pathlib import Path
from random import Random

import pytest

from sim_compress.artifact import encode, read
from sim_compress.errors import ArtifactError
from sim_compress.model import ImplicitModel
from tools.bench.mutations import DAMAGE, HOSTILE

from .crafting import encoded
from .models import feedforward_model, looped_model

ROUNDS = 15
MODELS = pytest.mark.parametrize("model", [feedforward_model(), looped_model()], ids=["acyclic", "loop"])


def written_again(data: bytes, place: Path) -> bytes | None:
    """What is read, written again; None where it is refused by name."""
    place.write_bytes(data)
    try:
        artifact = read(place)
    except ArtifactError:
        return None
    return encode(artifact.model, artifact.certificate, artifact.provenance)


@MODELS
@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_read_from_a_damaged_file_is_the_model_it_held(
    kind: str, model: ImplicitModel, tmp_path: Path
) -> None:
    rng, data = Random(kind), encoded(model)
    for _ in range(ROUNDS):
        assert written_again(DAMAGE[kind](rng, data), tmp_path / "m.safetensors") in (None, data)


@MODELS
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_read_from_a_hostile_file_can_be_written_and_read_again(
    kind: str, model: ImplicitModel, tmp_path: Path
) -> None:
    rng, data = Random(kind), encoded(model)
    for _ in range(ROUNDS):
        written = written_again(HOSTILE[kind](rng, data), tmp_path / "m.safetensors")
        assert written is None or written_again(written, tmp_path / "m.safetensors") == written


@MODELS
def test_some_hostile_files_hold_another_model(model: ImplicitModel, tmp_path: Path) -> None:
    rng, data = Random(0), encoded(model)
    spoilt = [HOSTILE["tensor bits, sealed"](rng, data) for _ in range(ROUNDS)]
    assert any(written_again(s, tmp_path / "m.safetensors") not in (None, data) for s in spoilt)


@MODELS
def test_bytes_after_the_end_are_refused(model: ImplicitModel, tmp_path: Path) -> None:
    assert written_again(encoded(model) + b"\0", tmp_path / "m.safetensors") is None
