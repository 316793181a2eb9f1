"""Every error this package raises on purpose.

SimCompressError
├── InputError          a file, array, name or option the caller gave cannot be used
│   ├── ModelFileError      the network file is missing, truncated or not ONNX
│   ├── UnsupportedError    the network holds operators with no place in the state model
│   ├── DataError           calibration or evaluation data do not fit the network
│   └── ArtifactError       a .safetensors artifact breaks a rule of docs/format.md
├── MissingExtraError   an optional dependency is not installed
├── SolverError         a row problem could not be solved to its tolerance
├── ConvergenceError    a sample did not reach its equilibrium
└── CertificateError    the model has no proof of a unique equilibrium
"""


class SimCompressError(Exception):
    """Base of all errors raised on purpose; its text is one message for the user."""


class InputError(SimCompressError):
    """A file, array, name or option the caller gave cannot be used."""


class ModelFileError(InputError):
    """The network file is missing, truncated or not ONNX."""


class UnsupportedError(InputError):
    """The network holds operators with no place in the state model."""


class DataError(InputError):
    """Calibration or evaluation data do not fit the network."""


class ArtifactError(InputError):
    """An artifact breaks a rule of docs/format.md."""


class MissingExtraError(SimCompressError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        # The parts are the arguments: an error from a worker process is made again from them.
        super().__init__(package, extra, purpose)

    def __str__(self) -> str:
        package, extra, purpose = self.args
        return (
            f"{purpose} needs the package {package!r}, which is not installed: "
            f"run  pip install 'sim-compress[{extra}]'"
        )


class SolverError(SimCompressError):
    """A row problem could not be solved to its tolerance."""


class ConvergenceError(SimCompressError):
    """A sample did not reach its equilibrium."""


class CertificateError(SimCompressError):
    """The model has no proof of a unique equilibrium."""
