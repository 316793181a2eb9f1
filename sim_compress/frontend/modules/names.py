"""Qualified names of a torch module's parts: from its exporter's graph to blocks."""

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import onnx

from sim_compress.frontend.teacher import Teacher
from sim_compress.model import Affine, ImplicitModel

SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
# Modules of torch itself are one operation each; a block of the user's own holds several.
LEAF = "torch.nn.modules."
# Operators that hand a matrix on.
TURNS = ("Transpose", "Identity", "Cast")
# A block that regresses the rows of several modules at once.
JOINED = " + "


def name_nodes(graph: onnx.GraphProto, parameters: Mapping[str, Collection[str]]) -> None:
    """Name every node after its module: `layer1.0.conv2`, and `layer1.0.relu` where it has none of its own.

    Args:
        graph: written by one of torch's exporters; its nodes lose their metadata.
        parameters: name of a parameter or buffer -> all names that it has in the module: several where it is
            tied.
    """
    owners = _owners(graph, parameters)
    matrices = {i.name for i in graph.initializer if len(i.dims) > 1}
    taken: set[str] = set()
    # Modules first belong to the nodes that hold their weights.
    for i, node in sorted(
        enumerate(graph.node), key=lambda n: n[0] not in owners and not matrices.intersection(n[1].input)
    ):
        node.name = _unique(_named(node, owners.get(i, ())), node.op_type, taken)
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


def _owners(graph: onnx.GraphProto, parameters: Mapping[str, Collection[str]]) -> dict[int, list[str]]:
    """Place of a node -> the modules whose matrix it holds: several where that is tied.

    Batch normalisation is folded into the rows before it. A matrix belongs to the node that it is turned for.
    """
    held = {i.name: i.name for i in graph.initializer if len(i.dims) > 1 and i.name in parameters}
    owners: dict[int, list[str]] = {}
    for i, node in enumerate(graph.node):
        own = [held[name] for name in node.input if name in held]
        if own and node.op_type in TURNS:
            held[node.output[0]] = own[0]
        elif own:
            owners[i] = [name.rpartition(".")[0] for name in parameters[own[0]]]
    return owners


def _named(node: onnx.NodeProto, owners: Sequence[str]) -> str:
    """What a node is called: by the module whose matrix it holds, of several the one that it comes from."""
    if not owners:
        return _scope(node)
    scope = f"{_scope(node)}."
    return next((owner for owner in owners if scope.startswith(f"{owner}.")), owners[0]) or _scope(node)


def _scope(node: onnx.NodeProto) -> str:
    """The module that a node comes from, with its operation where that is none of torch's own."""
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


def named_after_modules(teacher: Teacher, keys: Collection[str]) -> Teacher:
    """The teacher whose blocks and outputs with rows are named after the modules that the rows come from.

    Args:
        teacher: of a graph whose nodes are named.
        keys: names of outputs that forward gives them: they stay.
    """
    ends = {*keys, *(i.name for i in teacher.model.inputs)}
    names = {name: name for name, _ in teacher.model.affines()}
    for name, nodes in teacher.nodes.items():
        wanted = JOINED.join(nodes)
        if nodes and name not in keys and wanted not in ends and wanted not in names:
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
