"""What a network can be given: inputs that a module's forward needs and those that it may go without."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sim_compress.frontend.modules.kinds import is_program, is_script, unwrapped
from sim_compress.model import Shape

NAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)
# Parameters that hold the answers, where forward can do without: as transformers' find_labels, and targets.
ANSWERS = ("start_positions", "end_positions", "target", "targets")


@dataclass(frozen=True)
class Signature:
    """Names that a network's inputs go by.

    Attributes:
        required: inputs that it must be given, in order.
        optional: further ones that it can be given, in order; parameters for labels are not among them.
        unnamed: what inputs beyond these go by (*x), empty where there are none.
        anything: whether it takes whatever it is given, by any name (**kwargs and nothing named).
        shapes: input name -> sizes of a sample, where they are known before any data.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    unnamed: str = ""
    anything: bool = False
    shapes: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def positional(self) -> tuple[str, ...]:
        """Inputs that the first entries of a batch are: at least one."""
        # torch.export calls the entries of *x so.
        return self.required or self.optional[:1] or ((f"{self.unnamed}_0",) if self.unnamed else ())

    def order(self, names: Mapping[str, Any]) -> list[str]:
        """Some inputs in the order of the network's own."""
        known = [name for name in (*self.required, *self.optional) if name in names]
        return [*known, *(name for name in names if name not in known)]


def is_answer(name: str) -> bool:
    """Whether a name is that of labels."""
    return "label" in name or name in ANSWERS


def module_signature(module: Any) -> Signature:
    """What a call of a torch module or ExportedProgram can be given."""
    module = unwrapped(module)
    if is_program(module):
        return Signature(tuple(_program_inputs(module)))
    if is_script(module):
        return _script_signature(module)
    parameters = inspect.signature(module.forward).parameters.values()
    named = [p for p in parameters if p.kind in NAMED]
    required = [p.name for p in named if p.default is inspect.Parameter.empty]
    optional = [p.name for p in named if p.default is not inspect.Parameter.empty and not is_answer(p.name)]
    several = [p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL]
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters) and not named
    return Signature(tuple(required), tuple(optional), several[0] if several else "", anything)


def _program_inputs(program: Any) -> list[str]:
    """Names of the tensors that a program is called with; what else forward was given is part of it."""
    import torch

    user = torch.export.graph_signature.InputKind.USER_INPUT
    tensor = torch.export.graph_signature.TensorArgument
    specs = program.graph_signature.input_specs
    return [s.arg.name for s in specs if s.kind is user and isinstance(s.arg, tensor)]


def _script_signature(module: Any) -> Signature:
    given = module.forward.schema.arguments[1:]
    required = tuple(a.name for a in given if not a.has_default_value())
    optional = tuple(a.name for a in given if a.has_default_value() and not is_answer(a.name))
    return Signature(required, optional)
