"""Qualified names of a torch module's parts: from its exporter's graph to blocks."""

import ast
from collections.abc import Collection, Mapping
from dataclasses import replace

import onnx

from sim_compress.frontend.teacher import Teacher
from sim_compress.model import Affine, ImplicitModel

SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
# Modules of torch itself are one operation each; a block of the user's own holds several.
LEAF = "torch.nn.modules."
# A block that regresses the rows of several modules at once.
JOINED = " + "


def name_nodes(graph: onnx.GraphProto, parameters: Collection[str]) -> None:
    """Name every node after its module: `layer1.0.conv2`, and `layer1.0.relu` where it has none of its own.

    Args:
        graph: written by torch.onnx.export; its nodes lose their metadata.
        parameters: names of the module's parameters and buffers.
    """
    matrices = {i.name for i in graph.initializer if len(i.dims) > 1}
    taken: set[str] = set()
    # Modules first belong to the nodes that hold their weights.
    for node in sorted(graph.node, key=lambda n: not matrices.intersection(n.input)):
        name = _parameter_owner(node, parameters, matrices) or _scope(node)
        node.name = _unique(name, node.op_type, taken)
        del node.metadata_props[:]
    _name_tensors(graph)


def _name_tensors(graph: onnx.GraphProto) -> None:
    """Tensors go by their node: the exporter's own names for them are those of operations."""
    kept = {o.name for o in graph.output}
    names = {
        tensor: f"{node.name}:{i}"
        for node in graph.node
        for i, tensor in enumerate(node.output)
        if tensor and tensor not in kept
    }
    for node in graph.node:
        for tensors in (node.input, node.output):
            for i, tensor in enumerate(tensors):
                tensors[i] = names.get(tensor, tensor)
    del graph.value_info[:]


def _parameter_owner(node: onnx.NodeProto, parameters: Collection[str], matrices: Collection[str]) -> str:
    """The module whose matrix a node holds; batch normalisation is folded into the rows before it."""
    own = [name for name in node.input if name in parameters and name in matrices]
    return own[0].rpartition(".")[0] if own else ""


def _scope(node: onnx.NodeProto) -> str:
    metadata = {entry.key: entry.value for entry in node.metadata_props}
    scopes, classes = (ast.literal_eval(metadata.get(key, "[]")) for key in (SCOPES, CLASSES))
    if len(scopes) < 2:
        return node.name
    module, operation = scopes[-2:]
    if len(classes) == len(scopes) and classes[-2].startswith(LEAF):
        return module
    return f"{module}.{operation}" if module else operation


def _unique(name: str, operator: str, taken: set[str]) -> str:
    base = name = name or operator
    number = 1
    while name in taken:
        number += 1
        name = f"{base}/{operator}" if number == 2 else f"{base}/{operator}_{number}"
    taken.add(name)
    return name


def named_after_modules(teacher: Teacher) -> Teacher:
    """The teacher whose blocks and outputs with rows are named after the modules that the rows come from."""
    ends = {i.name for i in teacher.model.inputs}
    names = {name: name for name, _ in teacher.model.affines()}
    for name, nodes in teacher.nodes.items():
        wanted = JOINED.join(nodes)
        if nodes and wanted not in ends and wanted not in names:
            names[name] = wanted
    if len(set(names.values())) < len(names):
        return teacher
    return replace(
        teacher,
        model=_renamed(teacher.model, names),
        tensors={names[n]: t for n, t in teacher.tensors.items()},
        outputs={names[n]: t for n, t in teacher.outputs.items()},
        nodes={names[n]: t for n, t in teacher.nodes.items()},
    )


def _renamed(model: ImplicitModel, names: Mapping[str, str]) -> ImplicitModel:
    def affine(x: Affine) -> Affine:
        return replace(x, terms=tuple(replace(t, source=names.get(t.source, t.source)) for t in x.terms))

    return ImplicitModel(
        model.inputs,
        tuple(replace(b, name=names[b.name], affine=affine(b.affine)) for b in model.blocks),
        tuple(replace(o, name=names[o.name], affine=affine(o.affine)) for o in model.outputs),
    )
