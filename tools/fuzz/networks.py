"""ONNX networks as a subject: refused by name, or the same numbers as onnxruntime's."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from sim_compress.frontend import Teacher, load_teacher
from sim_compress.frontend.axes import Placed
from sim_compress.frontend.quiet import RUNTIME_ERRORS, quiet_options
from sim_compress.frontend.read.cleaning import normalise
from sim_compress.frontend.read.network_file import read_network
from sim_compress.frontend.weights import whole
from sim_compress.model.maps import Array
from sim_compress.runtime import Session
from tools.fuzz import damage
from tools.fuzz.artifacts import differences, random_inputs
from tools.fuzz.onnx_edits import EDITS
from tools.fuzz.outcome import AGREED, DISAGREED, ROUNDING
from tools.fuzz.random_networks import random_network
from tools.fuzz.rounding import BFLOAT16, FLOAT16, ONNXRUNTIME, Precision, explained
from tools.fuzz.subject import Case

BYTES = {
    "bits": damage.flipped,
    "truncated": damage.truncated,
    "bytes moved": damage.moved,
    "bytes removed": damage.removed,
}
KINDS = ("intact", *(3 * [*EDITS]), "several", *BYTES)
# Largest difference that needs no explanation, of the largest output.
CLOSE = 1e-5
# What a network computes in narrower formats than float32, the state model does not round.
NARROW = {TensorProto.FLOAT16: FLOAT16, TensorProto.BFLOAT16: BFLOAT16}
GIVEN = 0.2
PROVIDERS = ["CPUExecutionProvider"]


class Networks:
    """Cases made from random networks and from given files."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files

    @cached_property
    def _given(self) -> tuple[onnx.ModelProto, ...]:
        return tuple(map(onnx.load, self._files))

    def spoilt(self, rng: Random) -> Case:
        """A file with other bytes, or a network changed in one place or in several."""
        given = self._given and rng.random() < GIVEN
        network = rng.choice(self._given) if given else random_network(rng)
        intact, kind = network.SerializeToString(), rng.choice(KINDS)
        if kind in BYTES:
            return Case(kind, BYTES[kind](rng, intact), intact)
        spoilt = onnx.ModelProto()
        spoilt.CopyFrom(network)
        for _ in range(3 if kind == "several" else 1):
            if kind != "intact":
                EDITS[kind if kind in EDITS else rng.choice([*EDITS])](rng, spoilt)
        return Case(kind, spoilt.SerializeToString(), intact)

    def judged(self, _: Case, file: Path, rng: Random) -> tuple[str, str]:
        """The outcome of lowering a file and running it, and of running it with onnxruntime."""
        teacher = load_teacher(file)
        inputs = random_inputs(teacher.model, rng)
        found = Session(teacher.model, kernel="scipy").predict(inputs)
        expected = _reference(file, teacher, inputs)
        if any(found[name].shape != expected[name].shape for name in found):
            return (
                DISAGREED,
                f"shapes {[found[n].shape for n in found]}, {[expected[n].shape for n in found]}",
            )
        # Where the network has no answer, any is right.
        found = {n: np.where(np.isnan(expected[n]), expected[n], y) for n, y in found.items()}
        if all(_close(expected[name], found[name]) for name in found):
            return AGREED, ""
        if explained(teacher.model, inputs, expected, found, _precision(file)):
            return ROUNDING, ""
        if _as_by_the_page(file, teacher, inputs, found):
            return ROUNDING, ""
        return DISAGREED, differences(expected, found)


def make(files: tuple[Path, ...]) -> Networks:
    """The subject."""
    return Networks(files)


def _reference(
    file: Path, teacher: Teacher, inputs: Mapping[str, Array], slow: bool = False
) -> dict[str, Array]:
    """The network's outputs, name -> (samples, ...), in as many calls as its batch needs.

    Args:
        slow: with onnx's own evaluation in place of onnxruntime.
    """
    data, places, batch = _reader(file, teacher)
    session = onnxruntime.InferenceSession(data, quiet_options(), PROVIDERS)
    kinds = {i.name: i.type for i in session.get_inputs()}
    names = [o.name for o in session.get_outputs()]
    evaluated: Any = ReferenceEvaluator(onnx.load_from_string(data)).run if slow else session.run
    samples = len(next(iter(inputs.values())))
    step = batch or samples
    filled = {n: np.concatenate([x] * step)[: -(-samples // step) * step] for n, x in inputs.items()}

    def run(start: int) -> list[Array]:
        chunk = {n: x[start : start + step] for n, x in filled.items() if n in kinds}
        given = {n: x[0] if places[n].batch is None else places[n].in_file(x) for n, x in chunk.items()}
        outputs: Any = evaluated(names, {n: _typed(x, kinds[n]) for n, x in given.items()})
        return [places[n].samples_first(y) for n, y in zip(names, outputs, strict=True)]

    runs = [run(start) for start in range(0, -(-samples // step) * step, step)]
    joined = [np.concatenate(parts)[:samples].astype(np.float32) for parts in zip(*runs, strict=True)]
    return dict(zip(names, joined, strict=True))


def _as_by_the_page(
    file: Path, teacher: Teacher, inputs: Mapping[str, Array], found: Mapping[str, Array]
) -> bool:
    """Whether onnx's own evaluation gives what was found: onnxruntime's sigmoid of -57 is 0."""
    try:
        with np.errstate(all="ignore"):
            by_the_page = _reference(file, teacher, inputs, slow=True)
    # It knows fewer operators and types than onnxruntime.
    except Exception:
        return False
    return all(_close(by_the_page[name], found[name]) for name in found)


def _reader(file: Path, teacher: Teacher) -> tuple[bytes, Mapping[str, Placed], int | None]:
    """The network as it stands; else in float32, else cleaned, where onnxruntime does not run it so.

    Beside it the places of its samples, and the batch that it takes.
    """
    read = read_network(file)
    plain = whole(normalise(read.model), read.weights)
    for data in (file.read_bytes(), plain.SerializeToString()):
        with suppress(*RUNTIME_ERRORS):
            session = onnxruntime.InferenceSession(data, quiet_options(), PROVIDERS)
            # A batch of none is read as an open one; an end that is cut off leaves other outputs.
            known = {o.name for o in session.get_outputs()} <= teacher.places.keys()
            if known and all(0 not in i.shape for i in session.get_inputs()):
                return data, teacher.places, teacher.batch
    model = teacher.model
    first = {x.name: Placed((1, *x.shape), 0) for x in model.inputs}
    first |= {x.name: Placed((1, *x.affine.shape), 0) for x in model.outputs}
    return whole(teacher.graph, teacher.weights).SerializeToString(), first, None


def _typed(values: Array, kind: str) -> Array:
    """In the type that onnxruntime names."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    return values.astype({"float": "float32", "double": "float64"}.get(name, name))


def _precision(file: Path) -> Precision:
    """The narrowest float format in a file."""
    model = onnx.load(file)
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    kinds: set[Any] = {v.type.tensor_type.elem_type for v in values} | {
        t.data_type for t in model.graph.initializer
    }
    kinds |= {a.i for n in model.graph.node if n.op_type == "Cast" for a in n.attribute if a.name == "to"}
    return max((NARROW[k] for k in kinds if k in NARROW), key=lambda p: p.rounding, default=ONNXRUNTIME)


def _close(expected: Array, found: Array) -> bool:
    """Whether outputs are the same numbers but for rounding, and NaN alike."""
    with np.errstate(all="ignore"):
        finite = np.isfinite(expected)
        largest = np.abs(expected, where=finite, out=np.zeros_like(expected)).max(initial=0)
        near = np.abs(found - expected) <= CLOSE * largest
        return bool((near | (found == expected) | (np.isnan(found) & np.isnan(expected))).all())
