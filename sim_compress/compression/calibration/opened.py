"""A network with its calibration inputs, whatever the caller calls a network: a file, a model or a module."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sim_compress.compression.calibration.batches import Calibration, gathered
from sim_compress.errors import InputError
from sim_compress.frontend import Signature, is_module, is_onnx_program, module_signature
from sim_compress.model.maps import Array, Shape
from sim_compress.states import Teacher, open_module, open_teacher


class Opened(NamedTuple):
    """A teacher, its calibration inputs by name, and choices made for the user on the way."""

    teacher: Teacher
    inputs: Mapping[str, Array]
    notes: tuple[str, ...]


def opened(network: Any, calibration: Calibration, input_shapes: Mapping[str, Shape] | None = None) -> Opened:
    """The teacher behind whatever the caller calls a network, with its calibration inputs as arrays.

    Args:
        network, calibration, input_shapes: as for `compress`.

    Raises:
        InputError: the network is none of these.
        DataError: the calibration inputs do not go with it.
    """
    if is_module(network):
        if input_shapes:
            raise InputError(
                "a torch module's inputs have the sizes of the calibration inputs: leave input_shapes out"
            )
        inputs, notes = gathered(module_signature(network), calibration)
        teacher = open_module(network, inputs)
        return Opened(teacher, inputs, (*teacher.notes, *notes))
    teacher = network if isinstance(network, Teacher) else _read(network, input_shapes)
    shapes = {i.name: i.shape for i in teacher.model.inputs}
    inputs, notes = gathered(Signature(tuple(shapes), shapes=shapes), calibration)
    return Opened(teacher, inputs, (*teacher.notes, *notes))


def _read(network: Any, input_shapes: Mapping[str, Shape] | None) -> Teacher:
    return open_teacher(network.model_proto if is_onnx_program(network) else network, input_shapes)
