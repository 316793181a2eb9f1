"""A graph as the bytes of its file, with a second one for weights where one protobuf message is too small."""

import onnx

MAX_BYTES = 2**31 - 1
# Smaller tensors stay in the graph: shape inference reads them.
SMALLEST_OUTSIDE = 1024
# The format asks for places that a map of the file can begin at.
PAGE = 4096


def files_of(graph: onnx.ModelProto, name: str, most: int = MAX_BYTES) -> dict[str, bytes]:
    """The contents of files by name: one, or with NAME.data beside it where that takes more than `most`."""
    weights = [t for t in graph.graph.initializer if len(t.raw_data) >= SMALLEST_OUTSIDE]
    if sum(len(t.raw_data) for t in weights) + _rest(graph) <= most:
        return {name: graph.SerializeToString()}
    beside, place = [], 0
    outside = _without_weights(graph)
    for tensor in graph.graph.initializer:
        kept = outside.graph.initializer.add()
        if len(tensor.raw_data) < SMALLEST_OUTSIDE:
            kept.CopyFrom(tensor)
            continue
        kept.name, kept.data_type = tensor.name, tensor.data_type
        kept.dims.extend(tensor.dims)
        kept.data_location = onnx.TensorProto.EXTERNAL
        where = {"location": f"{name}.data", "offset": place, "length": len(tensor.raw_data)}
        for key, value in where.items():
            kept.external_data.add(key=key, value=str(value))
        gap = -len(tensor.raw_data) % PAGE
        beside += [tensor.raw_data, bytes(gap)]
        place += len(tensor.raw_data) + gap
    return {name: outside.SerializeToString(), f"{name}.data": b"".join(beside)}


def check(graph: onnx.ModelProto, most: int = MAX_BYTES) -> None:
    """onnx's full check; weights that one message does not hold are checked as inputs of their shape."""
    if sum(len(t.raw_data) for t in graph.graph.initializer) + _rest(graph) <= most:
        onnx.checker.check_model(graph, full_check=True)
        return
    bare = _without_weights(graph)
    for tensor in graph.graph.initializer:
        if len(tensor.raw_data) < SMALLEST_OUTSIDE:
            bare.graph.initializer.append(tensor)
        else:
            kind = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            bare.graph.input.append(kind)
    onnx.checker.check_model(bare, full_check=True)


def _rest(graph: onnx.ModelProto) -> int:
    """Bytes of all but the initialisers' numbers, about."""
    return _without_weights(graph).ByteSize() + sum(128 + len(t.name) for t in graph.graph.initializer)


def _without_weights(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without initialisers, which together may be more than a message holds."""
    copy = onnx.ModelProto(
        ir_version=graph.ir_version, producer_name=graph.producer_name, doc_string=graph.doc_string
    )
    copy.opset_import.extend(graph.opset_import)
    copy.metadata_props.extend(graph.metadata_props)
    own = graph.graph
    copy.graph.name, copy.graph.doc_string = own.name, own.doc_string
    copy.graph.node.extend(own.node)
    copy.graph.input.extend(own.input)
    copy.graph.output.extend(own.output)
    return copy
