"""Nodes that behave as in training: what they give is another each time, or depends on the other samples."""

from sim_compress.frontend.read.screening.known import Seen
from sim_compress.frontend.refusals import reason

EVALUATION = "export the network in evaluation mode (model.eval() in torch)"
# From this operator set on both operators say themselves whether they train.
DROPOUT_TRAINS, BATCH_NORM_TRAINS = 12, 14


def training(seen: Seen, opset: int) -> str | None:
    """Why a node is refused, None where it computes the same for every batch."""
    if seen.node.op_type == "Bernoulli":
        # Clean-up replaces it by other nodes; the others that draw random numbers are refused afterwards.
        return reason(seen.node.op_type)
    if seen.node.op_type == "Dropout":
        return _dropout(seen, opset)
    if seen.node.op_type == "BatchNormalization":
        return _batch_norm(seen, opset)
    return None


def _dropout(seen: Seen, opset: int) -> str | None:
    ratio, mode = seen.value(1), seen.value(2)
    given = len(seen.node.input) > 2 and seen.node.input[2]
    if opset < DROPOUT_TRAINS or not given or (mode is not None and not mode.any()):
        return None
    if ratio is not None and not ratio.any():
        return None
    if mode is None:
        return f"drops values at random where {given!r} says so, which the network computes; {EVALUATION}"
    return f"drops values at random, as in training (training_mode is true); {EVALUATION}"


def _batch_norm(seen: Seen, opset: int) -> str | None:
    statistics = any(seen.node.output[1:])
    asked = any(a.name == "training_mode" and a.i for a in seen.node.attribute)
    if asked or (statistics and opset < BATCH_NORM_TRAINS):
        return f"normalises by the batch it is given, as in training (training_mode is 1); {EVALUATION}"
    return None
