"""TorchScript through torch's older exporter: the newer one reads none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch

from sim_compress.errors import UnsupportedError
from sim_compress.frontend.modules.outputs import renamed_outputs
from sim_compress.frontend.modules.settled import mode_of


class Called(torch.nn.Module):
    """A script that gets some of its inputs, in order; for the others its defaults stand."""

    def __init__(self, script: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.script, self.names = script, tuple(names)

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.script(**dict(zip(self.names, tensors, strict=True)))


def _called(script: Any, tensors: Mapping[str, Any]) -> Any:
    """What takes the tensors in order: the script itself, where it could take no others.

    Raises:
        UnsupportedError: it could, and is frozen, which nothing can call for torch's exporter.
    """
    takes = [a.name for a in script.forward.schema.arguments[1:]]
    if takes == list(tensors):
        return script
    if mode_of(script) is None:
        raise UnsupportedError(
            f"a frozen script is read with all inputs that forward takes ({', '.join(takes)}), got "
            f"{', '.join(tensors)}: give the script as it was before torch.jit.freeze"
        )
    given = tuple(tensors.values())
    return torch.jit.trace(Called(script, list(tensors)).eval(), given, check_trace=False)


def model_of_script(script: Any, tensors: Mapping[str, Any]) -> onnx.ModelProto:
    """A scripted or traced module as an ONNX model with a free batch.

    Args:
        script: the module, in evaluation mode.
        tensors: its inputs by name.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "script.onnx"
        torch.onnx.export(
            _called(script, tensors),
            tuple(tensors.values()),
            file,
            dynamo=False,
            input_names=list(tensors),
            dynamic_axes={name: {0: "batch"} for name in tensors},
            # Folded weights lose their names.
            do_constant_folding=False,
        )
        model = onnx.load(file)
    outputs = len(model.graph.output)
    renamed_outputs(model.graph, ["output"] if outputs == 1 else [f"output_{i}" for i in range(outputs)])
    return model
