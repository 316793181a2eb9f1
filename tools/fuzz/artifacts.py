"""Artifacts as a subject: refused by name, or the same numbers from both kernels."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from random import Random

import numpy as np

from sim_compress.artifact import Artifact, encode, read
from sim_compress.artifact.decoder import decode
from sim_compress.artifact.spec import block_part, output_part
from sim_compress.model import ImplicitModel, Input
from sim_compress.model.maps import Array
from sim_compress.runtime import Session
from sim_compress.runtime.samples import id_ranges
from tools.fuzz.container import Parts
from tools.fuzz.damage import DAMAGE
from tools.fuzz.hostile import HOSTILE, OFTEN
from tools.fuzz.outcome import AGREED, DISAGREED, ROUNDING
from tools.fuzz.random_models import random_model
from tools.fuzz.rounding import explained
from tools.fuzz.subject import Case
from tools.read_artifact import read as read_by_the_page

# Batches that lie differently in vectors: less than one, whole ones, some and a rest.
SAMPLES = (1, 2, 3, 8, 17)
# Largest difference of one evaluation from another that needs no explanation, of the largest output.
CLOSE = 1e-6
GIVEN = 0.2


class Artifacts:
    """Cases made from random models and from given files."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        # The kernel is compiled, or loaded, before a case is timed.
        agreement(random_model(Random(0))[0], Random(0))

    @cached_property
    def _given(self) -> tuple[Parts, ...]:
        layouts = ((True, False), (False, False), (False, True))
        return tuple(Parts.of(read(file), *layout) for file in self._files for layout in layouts)

    def spoilt(self, rng: Random) -> Case:
        """A file that is damaged, or hostile with a right digest."""
        if self._given and rng.random() < GIVEN:
            parts = rng.choice(self._given)
        else:
            model, certificate = random_model(rng)
            made = decode(encode(model, certificate, {"seed": 1}))
            parts = Parts.of(made, rng.random() < 0.5, rng.random() < 0.5)
        intact = parts.file()
        kinds = [*DAMAGE, *HOSTILE]
        kind = rng.choices(kinds, [OFTEN.get(k, 1) for k in kinds])[0]
        made = DAMAGE[kind](rng, intact) if kind in DAMAGE else HOSTILE[kind](rng, parts.copy())
        return Case(kind, made, intact)

    def judged(self, case: Case, file: Path, rng: Random) -> tuple[str, str]:
        """The outcome of reading a file, writing it again and running it."""
        artifact = read(file)
        written = encode(artifact.model, artifact.certificate, artifact.provenance)
        again = decode(written)
        if encode(again.model, again.certificate, again.provenance) != written:
            return DISAGREED, "writing and reading again changes the file"
        if case.kind in DAMAGE and written != _canonical(case.intact):
            return DISAGREED, "what was read from damage is another model"
        if wrong := _other_rows(artifact, file):
            return DISAGREED, f"a second reader sees another {wrong}"
        return agreement(artifact.model, rng)


def make(files: tuple[Path, ...]) -> Artifacts:
    """The subject."""
    return Artifacts(files)


def _canonical(data: bytes) -> bytes:
    artifact = decode(data)
    return bytes(encode(artifact.model, artifact.certificate, artifact.provenance))


def _other_rows(artifact: Artifact, file: Path) -> str | None:
    """The name of a matrix or bias that the second reader reads otherwise."""
    rows, model = read_by_the_page(file), artifact.model
    for i, (_, affine) in enumerate(model.affines()):
        part = block_part(i) if i < len(model.blocks) else output_part(i)
        for t, term in enumerate(affine.terms):
            if term.weight is not None:
                name = part.matrix(t, model.is_input(term.source))
                if not np.array_equal(rows.matrices[name].toarray(), term.weight.toarray()):
                    return name
        if affine.bias is not None and not np.array_equal(rows.biases[part.bias], affine.bias):
            return part.bias
    return None


def agreement(model: ImplicitModel, rng: Random) -> tuple[str, str]:
    """Whether both kernels give the same outputs for random inputs."""
    inputs = random_inputs(model, rng)
    threads = rng.choice((1, 1, 1, 1, 2))
    expected = Session(model, kernel="scipy").predict(inputs)
    found = Session(model, kernel="numba", threads=threads).predict(inputs)
    if all(_close(expected[name], found[name]) for name in expected):
        return AGREED, ""
    if explained(model, inputs, expected, found):
        return ROUNDING, ""
    return DISAGREED, differences(expected, found)


def random_inputs(model: ImplicitModel, rng: Random) -> dict[str, Array]:
    """Values as the inputs ask for; ids have rows in every table that they are looked up in."""
    samples = rng.choice(SAMPLES)
    draw = np.random.default_rng(rng.getrandbits(32))
    rows = {ids.source: ids.rows for ids in id_ranges(model)}
    return {i.name: _values(i, samples, rows.get(i.name, 100), draw) for i in model.inputs}


def _values(given: Input, samples: int, rows: int, draw: np.random.Generator) -> Array:
    shape, dtype = (samples, *given.shape), np.dtype(given.dtype)
    if dtype.kind == "f":
        return draw.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return draw.random(shape) < 0.5
    return draw.integers(0, min(rows, 100), shape).astype(dtype)


def _close(one: Array, other: Array) -> bool:
    """Whether two outputs are the same numbers to a few units in the last place of the largest."""
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return False
    with np.errstate(all="ignore"):
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        largest = np.abs(one, where=np.isfinite(one), out=np.zeros_like(one)).max(initial=0)
        return bool((same | (np.abs(one - other) <= CLOSE * largest)).all())


def differences(expected: Mapping[str, Array], found: Mapping[str, Array]) -> str:
    """The first differing numbers of every output."""
    lines = []
    for name, one in expected.items():
        other = found[name]
        different = ~((one == other) | (np.isnan(one) & np.isnan(other)))
        lines.append(f"{name}: {one[different][:4]} against {other[different][:4]}")
    return "\n".join(lines)
