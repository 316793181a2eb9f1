"""A whole model as a plain ONNX graph, blocks in order of evaluation."""

import numpy as np
import onnx
from onnx import helper

from sim_compress.certificate import order_of_evaluation
from sim_compress.errors import InputError
from sim_compress.export.concatenation import pieces
from sim_compress.export.files import Exported, check
from sim_compress.export.graph import Graph, real
from sim_compress.export.phis import PARTS_NODES, PHI_NODES, parts_of
from sim_compress.export.rows import preactivation
from sim_compress.export.source import Source
from sim_compress.model import Affine, ImplicitModel, Shape, StateBlock

NOTE = (
    "Written by sim-compress export. Weights are dense tensors with their zeros kept: the file is as fast as "
    "the network it came from and as large; the artifact is the small one."
)


def to_onnx(model: ImplicitModel, source: Source | None = None) -> onnx.ModelProto:
    """The whole graph of `exported`, in memory."""
    return exported(model, source).whole()


def exported(model: ImplicitModel, source: Source | None = None) -> Exported:
    """The model as standard ONNX nodes with a free batch, its outputs those of the runtime.

    Inputs, outputs and the states of blocks keep their names; inputs keep their dtype. `files_of` gives its
    files.

    Args:
        source: what is kept of the network that the model came from.

    Raises:
        InputError: the model has loops.
    """
    source = source or Source()
    order = order_of_evaluation(model)
    if order is None:
        raise InputError(
            "the model has loops: its states are a fixed point, which a plain ONNX graph cannot give; run it "
            "with sim_compress.load, or compress with the support of the network"
        )
    graph = Graph([*model.shapes, *(o.name for o in model.outputs)], source.opset)
    walk = _Walk(graph, model)
    blocks = {b.name: b for b in model.blocks}
    for name in order:
        walk.block(blocks[name])
    for output in model.outputs:
        walk.end(output.name, output.affine)
    return walk.finished(source)


class _Walk:
    """The tensors known so far, by source."""

    def __init__(self, graph: Graph, model: ImplicitModel) -> None:
        self._graph, self._model = graph, model
        self._tensors = {name: name for name in model.shapes}
        for source in model.inputs:
            if source.dtype != "float32":
                graph.scope = source.name
                self._tensors[source.name] = real(graph, source.name)

    def block(self, block: StateBlock) -> None:
        """The nodes of one state."""
        self._graph.scope = block.name
        phi, a, shape = block.phi.name, block.phi.attributes, block.affine.shape
        if phi in PARTS_NODES:
            parts = [tuple(p) for p in a["parts"]]
            state = PARTS_NODES[phi](self._graph, self._parts(block.affine, parts), a, parts)
        else:
            state = PHI_NODES[phi](self._graph, self._preactivation(block.affine), a, shape)
        self._graph.named(state, block.name)

    def end(self, name: str, affine: Affine) -> None:
        """The nodes of one output."""
        self._graph.scope = name
        self._graph.named(self._preactivation(affine), name)

    def finished(self, source: Source) -> Exported:
        """The checked model."""
        model, types = self._model, onnx.TensorProto.FLOAT
        inputs = [
            _info(i.name, helper.np_dtype_to_tensor_dtype(np.dtype(i.dtype)), i.shape, source.batch)
            for i in model.inputs
        ]
        outputs = [_info(o.name, types, o.shape, source.batch) for o in model.outputs]
        graph = self._graph
        proto = helper.make_graph(graph.nodes, "sim_compress", inputs, outputs, graph.constants, NOTE)
        opsets = [helper.make_opsetid("", source.opset)]
        whole = helper.make_model(
            proto,
            ir_version=helper.find_min_ir_version_for(opsets),
            opset_imports=opsets,
            producer_name="sim-compress",
            doc_string=source.doc_string,
        )
        for key, value in source.metadata_props.items():
            whole.metadata_props.add(key=key, value=value)
        found = Exported(whole, graph.values)
        check(found)
        return found

    def _preactivation(self, affine: Affine) -> str:
        return preactivation(self._graph, affine, self._tensors, self._model.shapes)

    def _parts(self, affine: Affine, parts: list[Shape]) -> list[str]:
        found = pieces(self._graph, affine, parts, self._tensors, self._model.shapes)
        return found or parts_of(self._graph, self._preactivation(affine), parts)


def _info(name: str, kind: int, shape: Shape, batch: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [batch, *shape])
