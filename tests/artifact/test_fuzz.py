"""Random damage gives a named error or a model, never another exception."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.artifact import read
from sim_compress.errors import ArtifactError
from sim_compress.model import ImplicitModel

from .crafting import encoded
from .models import feedforward_model, looped_model

ROUNDS = 400
MODELS = pytest.mark.parametrize("model", [feedforward_model(), looped_model()], ids=["acyclic", "loop"])


def outcome(data: bytes, file: Path) -> bool:
    """Whether the file is read; any exception but ArtifactError passes through."""
    file.write_bytes(data)
    try:
        read(file)
    except ArtifactError:
        return False
    return True


@MODELS
def test_damaged_bytes_are_refused_or_read(model: ImplicitModel, tmp_path: Path) -> None:
    rng, data = np.random.default_rng(0), encoded(model)
    start = 8 + int.from_bytes(data[:8], "little")
    for round_ in range(ROUNDS):
        # Every other round aims at the header, where a byte has most meaning.
        end = start if round_ % 2 else len(data)
        damaged = bytearray(data)
        for position in rng.integers(0, end, rng.integers(1, 4)):
            damaged[position] = (
                rng.integers(256) if round_ % 4 < 2 else rng.choice(list(b'0123456789,:"[]{}-e.'))
            )
        outcome(bytes(damaged), tmp_path / "m.safetensors")


@MODELS
def test_every_truncated_file_is_refused(model: ImplicitModel, tmp_path: Path) -> None:
    data = encoded(model)
    for end in np.random.default_rng(1).integers(0, len(data), ROUNDS):
        assert not outcome(data[:end], tmp_path / "m.safetensors")


@MODELS
def test_bytes_after_the_end_are_refused(model: ImplicitModel, tmp_path: Path) -> None:
    assert not outcome(encoded(model) + b"\0", tmp_path / "m.safetensors")
