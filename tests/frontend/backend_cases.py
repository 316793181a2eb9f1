"""onnx's own backend test cases as networks of this front end: which are exact, refused, wrong.

A case feeds weights as inputs. Here its first input is the activation and all others become constants of
the file; a case with several activations is tried with all inputs that share their first axis too.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import numpy_helper, version_converter
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

from sim_compress.errors import ModelFileError, UnsupportedError
from sim_compress.frontend import OPERATORS, Teacher, load_teacher
from sim_compress.frontend.nodes import qualified_name
from sim_compress.frontend.read.network_file import OLDEST_OPSET
from sim_compress.runtime import Session
from tests.frontend.graphs import run

KINDS = ("node", "pytorch-converted", "pytorch-operator", "simple")
# Larger cases say nothing more of an operator and take seconds.
LARGEST_INPUT = 2**18
# Sums in float32, in another order than the case's, relative to its largest output.
ROUNDING = 2e-5
# onnxruntime 1.31 knows no newer one; what the sets up to 28 add to these operators is further types.
RUNTIME_OPSET = 26
# float16 keeps three digits, and the case's own steps round to it.
HALF_ROUNDING = 1e-2
PASSED, REFUSED, FAILED = "passed", "refused", "failed"


@dataclass(frozen=True, eq=False)
class Case:
    """One case with its data: every graph input has a value, in order."""

    name: str
    model: onnx.ModelProto
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    tolerance: float

    @property
    def operators(self) -> frozenset[str]:
        return frozenset(qualified_name(n) for n in self.model.graph.node)


@cache
def cases() -> tuple[Case, ...]:
    """The cases whose operators are all in the registry, with arrays as data and activations of floats."""
    with warnings.catch_warnings():
        # onnx computes infinities on purpose in some of its cases.
        warnings.simplefilter("ignore")
        found = [c for kind in KINDS for t in load_model_tests(kind=kind) for c in _read(t)]
    known = frozenset(OPERATORS)
    return tuple(c for c in found if c.operators <= known and _is_network(c))


def _is_network(case: Case) -> bool:
    """Whether there is an activation of floats with a batch axis that is not too large."""
    return bool(
        case.inputs
        and case.inputs[0].ndim
        and case.inputs[0].dtype in (np.float16, np.float32, np.float64)
        and max(u.size for u in case.inputs) <= LARGEST_INPUT
    )


def _read(test: TestCase) -> Iterator[Case]:
    """The cases of one test of onnx, one for each data set, where its data are arrays."""
    model = test.model if test.model is not None else onnx.load(Path(str(test.model_dir)) / "model.onnx")
    if model.opset_import[0].version < OLDEST_OPSET:
        try:
            model = version_converter.convert_version(model, OLDEST_OPSET)
        except (RuntimeError, version_converter.ConvertError):
            return
    if model.opset_import[0].version > RUNTIME_OPSET:
        dated = onnx.ModelProto()
        dated.CopyFrom(model)
        dated.opset_import[0].version = RUNTIME_OPSET
        model = dated
    for number, (inputs, outputs) in enumerate(_data_sets(test)):
        arrays = all(isinstance(u, np.ndarray) for u in (*inputs, *outputs))
        if arrays and len(inputs) == len(_fed(model)):
            name = test.name if number == 0 else f"{test.name}_{number}"
            yield Case(name, model, tuple(inputs), tuple(outputs), test.rtol)


def _data_sets(test: TestCase) -> Iterator[tuple[list, list]]:
    if test.data_sets is not None:
        yield from ((list(inputs), list(outputs)) for inputs, outputs in test.data_sets)
        return
    for folder in sorted(Path(str(test.model_dir)).glob("test_data_set_*")):
        yield _tensors(folder, "input"), _tensors(folder, "output")


def _tensors(folder: Path, kind: str) -> list[np.ndarray]:
    count = len(list(folder.glob(f"{kind}_*.pb")))
    files = [folder / f"{kind}_{i}.pb" for i in range(count)]
    return [numpy_helper.to_array(onnx.TensorProto.FromString(f.read_bytes())) for f in files]


def _fed(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    constants = {i.name for i in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in constants]


def outcome(case: Case) -> str:
    """PASSED where some choice of activations is exact and none is wrong, REFUSED where none is accepted."""
    found = [_outcome(case, activations) for activations in _choices(case)]
    if set(found) == {REFUSED} and len(case.outputs) > 1:
        # The further outputs of some operators are for training.
        found = [_outcome(_first_output(case), activations) for activations in _choices(case)]
    return next((o for o in (FAILED, PASSED) if o in found), REFUSED)


def _first_output(case: Case) -> Case:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    del model.graph.output[1:]
    return replace(case, model=model, outputs=case.outputs[:1])


def _choices(case: Case) -> list[Sequence[int]]:
    """Positions of the inputs that are activations: the first alone, and all that go along with it."""
    first = case.inputs[0]
    together = [
        i for i, u in enumerate(case.inputs) if u.ndim and u.dtype == first.dtype and len(u) == len(first)
    ]
    return [[0], together] if len(together) > 1 else [[0]]


def _outcome(case: Case, activations: Sequence[int]) -> str:
    feed = {_fed(case.model)[i].name: case.inputs[i] for i in activations}
    states = {name: _in_float32(u) for name, u in feed.items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "case.onnx"
        onnx.save(_with_constants(case, activations), path)
        try:
            teacher = load_teacher(path)
        except (UnsupportedError, ModelFileError):
            return REFUSED
        names = [o.name for o in case.model.graph.output]
        if not teacher.places.keys() >= set(names):
            # Its end was cut off.
            return REFUSED
        found = _predicted(teacher, states)
        if all(_close(found[n], y, case.tolerance) for n, y in zip(names, case.outputs, strict=True)):
            return PASSED
        # Where onnxruntime differs from onnx, this package promises onnxruntime's result.
        expected = run(path, feed)
    return PASSED if all(_close(found[n], expected[n], case.tolerance) for n in names) else FAILED


def _predicted(teacher: Teacher, states: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Outputs as the file has them."""
    places = teacher.places
    given = {n: places[n].samples_first(u) for n, u in states.items()}
    found = Session(teacher.model, kernel="scipy").predict(given)
    return {n: y[0] if places[n].batch is None else places[n].in_file(y) for n, y in found.items()}


def _close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    wanted = _in_float32(expected)
    if expected.dtype == np.float16:
        tolerance = max(tolerance, HALF_ROUNDING)
    largest = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=1))
    return found.shape == wanted.shape and np.allclose(
        found, wanted, rtol=tolerance, atol=ROUNDING * largest, equal_nan=True
    )


def _in_float32(values: np.ndarray) -> np.ndarray:
    """Large numbers of wider types become infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _with_constants(case: Case, activations: Sequence[int]) -> onnx.ModelProto:
    """The model with all inputs but the activations as constants."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    fed = _fed(case.model)
    kept = [fed[i] for i in activations]
    constants = [
        numpy_helper.from_array(u, value.name)
        for i, (u, value) in enumerate(zip(case.inputs, fed, strict=True))
        if i not in activations
    ]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(constants)
    return model
