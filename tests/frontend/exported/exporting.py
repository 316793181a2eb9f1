"""Files of subjects, exported once in a run of the tests."""

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim_compress.frontend import Teacher, load_teacher
from tests.frontend.exported.subject import Subject

# The newest that both of torch's exporters write.
LEGACY_OPSET = 17
# A free batch is exported from an example of two: torch takes a batch of one for a constant.
EXAMPLES = 2


@dataclass(frozen=True)
class Way:
    """How a file is exported.

    Attributes:
        dynamo: by torch's current exporter; by the legacy one otherwise.
        batch: the samples that the file is for, None for any number.
    """

    dynamo: bool
    batch: int | None = None

    def __str__(self) -> str:
        name = "dynamo" if self.dynamo else "legacy"
        return f"{name}_{self.batch}" if self.batch else name


DYNAMO, LEGACY = Way(True), Way(False)
LEGACY_1, LEGACY_2, DYNAMO_2 = Way(False, 1), Way(False, 2), Way(True, 2)
WAYS = (DYNAMO, LEGACY, LEGACY_1, LEGACY_2, DYNAMO_2)


@dataclass(frozen=True)
class Exports:
    """The files written so far, and what was loaded from them."""

    folder: Path
    _known: dict[str, Path] = field(default_factory=dict)
    _loaded: dict[str, Teacher] = field(default_factory=dict)

    def teacher(self, name: str, subject: Subject, way: Way) -> Teacher:
        """The loaded file of a subject."""
        path = self.file(name, subject, way)
        if path.name not in self._loaded:
            self._loaded[path.name] = load_teacher(path)
        return self._loaded[path.name]

    def file(self, name: str, subject: Subject, way: Way, free_tokens: bool = False) -> Path:
        """The file of a subject; free_tokens: axis 1 of every input is of any length too."""
        key = f"{name}.{way}{'.tokens' if free_tokens else ''}"
        if key not in self._known:
            path = self.folder / f"{key}.onnx"
            _export(path, subject, way, free_tokens)
            self._known[key] = path
        return self._known[key]


def _export(path: Path, subject: Subject, way: Way, free_tokens: bool) -> None:
    import torch

    free: dict[str, dict[int, str]] = {}
    if way.batch is None:
        free = {i.name: {i.batch_axis: "batch"} for i in subject.inputs}
    if free_tokens:
        free = {i.name: {**free.get(i.name, {}), 1: "tokens"} for i in subject.inputs}
    with quiet(), _plain_attention(), torch.no_grad():
        torch.manual_seed(0)
        module = subject.module().eval()
        drawn = subject.drawn(way.batch or EXAMPLES)
        example = tuple(torch.from_numpy(value) for value in drawn.values())
        torch.onnx.export(
            module,
            example,
            path,
            input_names=[i.name for i in subject.inputs],
            output_names=list(subject.outputs),
            **(_dynamo(module, free) if way.dynamo else _legacy(free)),
        )


def _dynamo(module: Any, free: dict[str, dict[int, str]]) -> dict[str, Any]:
    """Options of the current exporter, which takes the shapes of gathered arguments as one entry."""
    shapes = tuple(free.values())
    parameters = inspect.signature(module.forward).parameters.values()
    gathered = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    wanted = {"dynamic_shapes": (shapes,) if gathered else shapes} if free else {}
    return {"dynamo": True, "verbose": False, "external_data": False, **wanted}


def _legacy(free: dict[str, dict[int, str]]) -> dict[str, Any]:
    return {"dynamo": False, "opset_version": LEGACY_OPSET, "dynamic_axes": free}


@contextmanager
def quiet() -> Iterator[None]:
    """torch and transformers warn and log of much on the way."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Without torch's fused kernel of attention, which no exporter knows."""
    import torch

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
