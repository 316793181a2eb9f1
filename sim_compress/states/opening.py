"""A file or module as the teacher in it."""

import hashlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, cast

from sim_compress import frontend
from sim_compress.artifact import read
from sim_compress.errors import InputError
from sim_compress.model import Shape, with_own_tables
from sim_compress.model.maps import Array
from sim_compress.states.implicit_teacher import ImplicitTeacher
from sim_compress.states.network_teacher import NetworkTeacher
from sim_compress.states.teachers import Teacher

SUFFIX = ".safetensors"


def open_module(module: Any, examples: Mapping[str, Array]) -> Teacher:
    """The teacher in a torch module or ExportedProgram; the module is left as it was.

    Args:
        module: what `frontend.is_module` takes for one.
        examples: input name -> (samples, ...), from which shapes and dtypes are taken.

    Raises:
        InputError: torch cannot export it, or a node has no place in the state model.
    """
    return NetworkTeacher(frontend.load_module(module, examples))


def open_teacher(source: frontend.Source, input_shapes: Mapping[str, Shape] | None = None) -> Teacher:
    """The teacher in a file: an artifact is an implicit model, anything else an ONNX network.

    Args:
        source: a path, whose suffix tells artifacts (.safetensors); the file's bytes; the file opened with
            "rb"; or an onnx.ModelProto, which is left as it is.
        input_shapes: of an ONNX network whose inputs have open sizes, as `frontend.load_teacher` takes them.

    Raises:
        InputError: the file cannot be used as either.
    """
    if not isinstance(source, str | PathLike):
        content = frontend.content_of(source)
        if frontend.is_safetensors(content.data):
            return _implicit(content.data, content.name, input_shapes)
        file = frontend.read_network(content)
        # Its bytes need not be held any longer.
        del content
        return NetworkTeacher(frontend.teacher_of(file, input_shapes or {}))
    path = Path(source)
    if path.suffix == SUFFIX:
        return _implicit(path, path, input_shapes)
    return NetworkTeacher(frontend.load_teacher(path, input_shapes))


def _implicit(source: Path | bytes, name: Path, input_shapes: Mapping[str, Shape] | None) -> ImplicitTeacher:
    """The teacher in an artifact that goes by a name."""
    if input_shapes:
        raise InputError(f"{name}: an artifact's inputs have fixed shapes: leave the input shapes out")
    artifact = read(source)
    described = artifact.provenance.get("source")
    known = described if isinstance(described, Mapping) else {}
    return ImplicitTeacher(artifact.model, name, artifact.size, _hashed(source), known)


def _hashed(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Apart:
    """A teacher whose lookups have tables of their own."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher, self.model = teacher, with_own_tables(teacher.model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._teacher, name)


def with_tables_apart(teacher: Teacher) -> Teacher:
    """The teacher, with tables that new rows of its blocks leave as they are."""
    return cast(Teacher, _Apart(teacher)) if teacher.model.readers else teacher
