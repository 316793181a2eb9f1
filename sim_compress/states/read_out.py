"""The teacher's own tensors, read out with onnxruntime."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from sim_compress.frontend import quiet_options, with_weights
from sim_compress.model.maps import Array


class Reader:
    """Runs a graph for the wanted tensors; arrays have samples on the last axis on both sides.

    States are numbers; where the graph holds another type, as truth values, they are converted to it.
    """

    def __init__(
        self,
        graph: onnx.ModelProto,
        weights: Mapping[str, Array],
        wanted: Sequence[str],
        optimised: bool = True,
    ) -> None:
        """Unless `optimised`, onnxruntime computes node by node as the graph stands.

        Args:
            graph: with stubs for large constants.
            weights: key of a stub -> values.
            wanted: tensors.
        """
        self._made_of = graph, weights, wanted, optimised
        options = quiet_options()
        content = with_weights(options, graph, weights)
        if not optimised:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._wanted = list(wanted)
        self._inputs = {
            i.name: helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type) for i in graph.graph.input
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """A session cannot travel: it is opened again where it arrives."""
        return Reader, self._made_of

    def __call__(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Tensor name -> (*shape, samples)."""
        feed = {
            n: np.ascontiguousarray(np.moveaxis(values[n], -1, 0), dtype) for n, dtype in self._inputs.items()
        }
        read = self._session.run(self._wanted, feed)
        return {n: np.moveaxis(np.asarray(a), 0, -1) for n, a in zip(self._wanted, read, strict=True)}


def with_outputs(graph: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """A copy of a graph that also gives the named tensors."""
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    present = {o.name for o in copy.graph.output}
    copy.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name)
        for name in dict.fromkeys(tensors)
        if name not in present
    )
    return copy
