"""onnxruntime sessions that say nothing to anyone and fail with this package's errors."""

from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (  # pyright: ignore[reportMissingImports]
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

from sim_compress.errors import ModelFileError
from sim_compress.frontend.weights import LARGEST_INSIDE, NO_WEIGHTS, Weights, used
from sim_compress.storage import place_of

FATAL = 4
# onnxruntime's exceptions share no base class of their own. Their texts quote names of the file, which may be
# no text: then there is no exception of its own.
RUNTIME_ERRORS = (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
    UnicodeDecodeError,
)
# Names of settings begin so that say where large constants of an optimised network go.
OUTSIDE = "session.optimized_model_external_initializers"
# Where the files of large constants are, which releases of onnxruntime from 1.20 on know.
FOLDER = "session.model_external_initializers_file_folder_path"
MAPS = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 20)
# Rewrites a token-wise MatMul as Reshape, Gemm, Reshape, which moves tokens onto the batch axis.
KEPT_APART = ["MatMulAddFusion"]


def open_session(
    model: onnx.ModelProto, weights: Weights = NO_WEIGHTS, optimised: Path | None = None
) -> onnxruntime.InferenceSession:
    """A CPU session with basic graph optimisation, for a few runs.

    Args:
        model: a network.
        weights: those of its stubs; the session reads them where they are, as long as it lives.
        optimised: where the optimised network is written, its large constants in a file beside it.

    Raises:
        ModelFileError: onnxruntime refuses the network.
    """
    options = quiet_options()
    graph = with_weights(options, model, weights)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Weights in the order that a kernel likes are a copy of them, which pays off after many runs.
    options.add_session_config_entry("session.disable_prepacking", "1")
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
        options.add_session_config_entry(f"{OUTSIDE}_file_name", f"{optimised.name}.data")
        options.add_session_config_entry(f"{OUTSIDE}_min_size_in_bytes", str(4 * LARGEST_INSIDE))
    try:
        return onnxruntime.InferenceSession(
            graph, options, ["CPUExecutionProvider"], disabled_optimizers=KEPT_APART
        )
    except RUNTIME_ERRORS as error:
        raise ModelFileError(f"onnxruntime refuses the network: {first_line(error)}") from error


def with_weights(options: onnxruntime.SessionOptions, model: onnx.ModelProto, weights: Weights) -> bytes:
    """A graph for a session that is opened with the options, which get the weights of its stubs.

    onnxruntime maps what stands in files of one folder by itself; all else it takes as arrays, and copies.
    """
    held = used(model.graph, weights)
    places = {name: place for name, v in held.items() if MAPS and (place := place_of(v)) is not None}
    folder = next((file.parent for file, _ in places.values()), None)
    places = {name: place for name, place in places.items() if place[0].parent == folder}
    arrays = {name: v for name, v in held.items() if name not in places}
    if arrays:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(v) for v in arrays.values()]
        options.add_external_initializers(list(arrays), values)
    if not places:
        return model.SerializeToString()
    options.add_session_config_entry(FOLDER, str(folder))
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.name in places:
            file, start = places[tensor.name]
            tensor.ClearField("external_data")
            for key, value in {
                "location": file.name,
                "offset": start,
                "length": held[tensor.name].nbytes,
            }.items():
                tensor.external_data.add(key=key, value=str(value))
    return copy.SerializeToString()


def evaluated(model: onnx.ModelProto) -> list[Any]:
    """Outputs of a network without inputs, node by node as it stands.

    Raises:
        RUNTIME_ERRORS: onnxruntime refuses it.
    """
    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return list(session.run(None, {}))


def quiet_options() -> onnxruntime.SessionOptions:
    """Options of a session that neither logs nor reports, and runs on the thread that calls it."""
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = 1
    return options


def first_line(error: Exception) -> str:
    """What went wrong, without onnxruntime's prefix and its context lines."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].removeprefix("[ONNXRuntimeError] : ")
