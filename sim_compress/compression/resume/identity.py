"""What a result depends on, as fingerprints: of the run, and of every step on those of its inputs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sim_compress.compilation.sources import stamp
from sim_compress.compression.prepared import Prepared
from sim_compress.runtime.compiled.hardware import processor

# Packages whose version may change a result.
PACKAGES = ("sim-compress", "numpy", "scipy", "numba", "onnxruntime")


def run_of(ready: Prepared) -> dict[str, Any]:
    """Network, data and versions: what every result of a run depends on, as JSON."""
    teacher = ready.teacher
    return {
        "network": teacher.sha256,
        "input shapes": {i.name: list(i.shape) for i in teacher.model.inputs},
        "calibration data": ready.calibration.sha256,
        "processor": processor(),
        "versions": {name: _version(name) for name in PACKAGES},
        # Versions of a source tree change seldom.
        "source": stamp("sim_compress.compression"),
    }


def fingerprint(name: str, matters: Any, inputs: Sequence[str]) -> str:
    """Of a step's result: its name, what of the target it depends on, and the fingerprints of its inputs."""
    text = json.dumps([name, matters, list(inputs)], sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
