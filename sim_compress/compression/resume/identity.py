"""What a result depends on, as fingerprints: of the run, and of every step on those of its inputs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sim_compress.compilation.environment import environment
from sim_compress.compression.prepared import Prepared


def run_of(ready: Prepared) -> dict[str, Any]:
    """Network, data and environment: what every result of a run depends on, as JSON."""
    teacher = ready.teacher
    return {
        "network": teacher.sha256,
        "input shapes": {i.name: list(i.shape) for i in teacher.model.inputs},
        "calibration data": ready.calibration.sha256,
        **environment(),
    }


def fingerprint(name: str, matters: Any, inputs: Sequence[str]) -> str:
    """Of a step's result: its name, what of the target it depends on, and the fingerprints of its inputs."""
    text = json.dumps([name, matters, list(inputs)], sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)
