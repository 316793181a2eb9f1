"""A torch module as an ONNX model in memory, by torch's exporters; the module is left as it was."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

import onnx
import torch

from sim_compress.errors import DataError, UnsupportedError
from sim_compress.frontend.modules.bags import PlainBags, with_plain_bags
from sim_compress.frontend.modules.examples import as_tensors, call_of
from sim_compress.frontend.modules.kinds import class_name, is_program, is_script
from sim_compress.frontend.modules.outputs import output_names, renamed_outputs
from sim_compress.frontend.modules.scripts import model_of_script
from sim_compress.frontend.modules.settled import check_evaluates, check_values, evaluating, without_cache
from sim_compress.frontend.quiet import first_line
from sim_compress.model.maps import Array

SUMMARY = "## Exception summary"
UNCACHED = "the network was read with config.use_cache off: cached keys and values are no outputs"


@dataclass(frozen=True, eq=False)
class Exported:
    """What a torch exporter wrote.

    Attributes:
        model: with a free batch where torch finds that it is free.
        keys: names of outputs that forward gives them.
        notes: what was done for it that its user should know.
    """

    model: onnx.ModelProto
    keys: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def exported(module: Any, examples: Mapping[str, Array]) -> Exported:
    """The module as an ONNX model.

    Args:
        module: an nn.Module, ScriptModule or ExportedProgram.
        examples: input name -> (samples, ...), in forward's order, from which shapes and dtypes are taken.

    Raises:
        UnsupportedError: torch cannot export the module, or its parameters have no values.
        DataError: the module cannot be called with the examples.
    """
    with _quiet():
        if is_program(module):
            check_evaluates(module)
            return _from_program(module)
        check_values(module)
        tensors = as_tensors(module, examples)
        with evaluating(module), without_cache(module) as cached, torch.no_grad():
            found = (_from_script if is_script(module) else _from_module)(module, tensors)
    return replace(found, notes=(UNCACHED,)) if cached else found


def _from_program(program: Any) -> Exported:
    try:
        return _model(with_plain_bags(program), (), {}, {})
    except Exception as error:
        raise _refusal(program, error) from error


def _from_script(module: Any, tensors: Mapping[str, Any]) -> Exported:
    try:
        return Exported(model_of_script(module, tensors))
    except Exception as error:
        _check_call(module, lambda: module(**tensors), tensors)
        raise _refusal(module, error) from error


def _from_module(module: Any, tensors: Mapping[str, Any]) -> Exported:
    call = call_of(module, tensors)
    names = {} if set(call.names) <= set(call.bound) else {"input_names": call.names}
    try:
        with PlainBags():
            return _model(module, call.args, call.kwargs, {"dynamic_shapes": call.free_batches, **names})
    # Whatever the code of a module raises comes through torch's exporter.
    except Exception as error:
        kept = {name: buffer.clone() for name, buffer in module.named_buffers()}
        _check_call(
            module, lambda: torch.func.functional_call(module, kept, call.args, dict(call.kwargs)), tensors
        )
        raise _refusal(module, error) from error


def _model(module: Any, args: Any, kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Exported:
    program = torch.onnx.export(module, args, kwargs=dict(kwargs), dynamo=True, verbose=False, **options)
    assert program is not None
    model = program.model_proto
    keys = output_names(program.exported_program)
    return Exported(model, tuple(keys) if renamed_outputs(model.graph, keys) else ())


def _check_call(module: Any, call: Callable[[], Any], tensors: Mapping[str, Any]) -> None:
    """DataError where the module cannot even be called with the calibration inputs."""
    try:
        call()
    except Exception as error:
        given = ", ".join(f"{name} {_described(tensor)}" for name, tensor in tensors.items())
        raise DataError(
            f"{class_name(module)}: cannot be called with the calibration inputs ({given}): "
            f"{first_line(error)}; give what forward takes, numbers that it takes as real ones as floats"
        ) from error


def _described(tensor: Any) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {('samples', *tensor.shape[1:])}".replace("'", "")


def _refusal(module: Any, error: Exception) -> UnsupportedError:
    """What torch's exporter refuses; a refusal of this package that it comes from as it is."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnsupportedError):
            return UnsupportedError(f"{class_name(module)}: {cause}")
        cause = cause.__cause__ or cause.__context__
    return UnsupportedError(
        f"{class_name(module)}: torch cannot export this module to ONNX ({_reason(error)}); rewrite "
        "what it names, or export the part of it that is supported with torch.onnx.export"
    )


def _reason(error: Exception) -> str:
    """What went wrong, without torch's advice and escape sequences."""
    _, _, summary = str(error).partition(SUMMARY)
    return first_line(RuntimeError(summary.strip() or str(error)))


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporters log, warn and print what they try on the way."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
