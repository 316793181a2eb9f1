"""What a network's file says of itself, kept for the graph that its sparse model is exported as."""

from typing import Any

import onnx

from sim_compress.frontend.nodes import STANDARD


def origin(model: onnx.ModelProto) -> dict[str, Any]:
    """The operator set, and where there are any the name of the batch axis, doc_string and metadata_props.

    A batch axis called N is not mentioned: that is what exported graphs call it.
    """
    found: dict[str, Any] = {"opset": next(o.version for o in model.opset_import if o.domain in STANDARD)}
    constants = {t.name for t in model.graph.initializer}
    shapes = (i.type.tensor_type.shape.dim for i in model.graph.input if i.name not in constants)
    batch = next((dims[0].dim_param for dims in shapes if dims and dims[0].dim_param), "")
    if batch not in ("", "N"):
        found["batch"] = batch
    if model.doc_string:
        found["doc_string"] = model.doc_string
    if model.metadata_props:
        found["metadata_props"] = {entry.key: entry.value for entry in model.metadata_props}
    return found
