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
# Rewrites a token-wise MatMul as Reshape, Gemm, Reshape, which moves tokens onto the batch axis.
KEPT_APART = ["MatMulAddFusion"]


def open_session(model: onnx.ModelProto, optimised: Path | None = None) -> onnxruntime.InferenceSession:
    """A CPU session with basic graph optimisation, which is written to `optimised` where that is given.

    Raises:
        ModelFileError: onnxruntime refuses the network.
    """
    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, ["CPUExecutionProvider"], disabled_optimizers=KEPT_APART
        )
    except RUNTIME_ERRORS as error:
        raise ModelFileError(f"onnxruntime refuses the network: {first_line(error)}") from error


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
