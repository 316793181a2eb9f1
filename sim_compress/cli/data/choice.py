"""Which data a command works on: what the user named, what lies beside the network, or made-up inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim_compress.cli.data import arrays
from sim_compress.cli.data.images import read_images
from sim_compress.cli.data.likeness import oddness
from sim_compress.cli.data.naming import naming
from sim_compress.cli.data.pixels import Scaling
from sim_compress.cli.data.synthetic import made_up_inputs
from sim_compress.errors import DataError
from sim_compress.model import ImplicitModel, Input
from sim_compress.model.maps import Array
from sim_compress.report import DataFigures
from sim_compress.runtime import Checked, check_labels, checked, id_limits, named

if TYPE_CHECKING:
    # Evaluating an artifact needs no onnx.
    from sim_compress.states import Teacher


@dataclass(frozen=True, eq=False)
class Data:
    """Inputs as they were given, and what is known of them.

    Attributes:
        checked: the inputs.
        labels: as they were given, None where there are none.
        done: what was done to the inputs on the way, None where nothing was.
        guess: the pixel range of made-up inputs that nobody gave, None where there is none.
        images: whether they are pixels, which alone are scaled.
    """

    checked: Checked
    figures: DataFigures
    labels: Array | None = None
    done: str | None = None
    guess: str | None = None
    images: bool = False

    @property
    def inputs(self) -> Mapping[str, Array]:
        """Input name -> (samples, ...)."""
        return self.checked.arrays


def read_data(path: Path, expected: Sequence[Input], scaling: Scaling | None) -> Data:
    """Data from a .npz or .npy file, or from a folder of images, which alone are scaled.

    Raises:
        DataError: they cannot be read, or do not go with the inputs expected.
        MissingExtraError: images are read without pillow.
    """
    if not path.is_dir():
        inputs, labels = arrays.read_inputs(path, expected)
        inputs = {name: np.asarray(array) for name, array in named(expected, inputs).items()}
        read = _checked(path, expected, inputs)
        return Data(read, _figures(path, read), labels)
    if len(expected) != 1:
        raise DataError(
            f"{path}: a folder of images goes with one input, the network has "
            f"{', '.join(i.name for i in expected)}: give a .npz"
        )
    images, done = read_images(path, expected[0], scaling)
    read = _checked(path, expected, {expected[0].name: images})
    return Data(read, _figures(path, read), done=done, images=True)


def read_labels(path: Path | None, data: Data, model: ImplicitModel) -> Array | None:
    """Labels from the file named, else those that came with the data.

    Raises:
        DataError: both are there, the file cannot be read, or the labels are no classes of the model.
    """
    if path is not None and data.labels is not None:
        raise DataError(f"--labels {path}: {data.figures.source} has labels too: leave one of them out")
    labels = data.labels if path is None else arrays.read_labels(path)
    if labels is not None:
        with naming(path or data.figures.source):
            check_labels(model, labels, data.figures.samples)
    return labels


def check_scaling(scaling: Scaling | None, *data: Data) -> None:
    """DataError where --mean or --std was given and nothing was scaled."""
    if scaling is not None and not any(d.images for d in data):
        raise DataError(
            "--mean and --std are for pixels, of a folder of images or made up: scale arrays before they are "
            "saved"
        )


def calibration_data(
    named: Path | None,
    beside: Path,
    teacher: "Teacher",
    scaling: Scaling | None,
    seed: int,
) -> Data:
    """Data as named, else those that may lie beside the network, else made-up inputs.

    Raises:
        DataError: as `read_data`.
    """
    model = teacher.model
    if named is not None or beside.exists():
        return read_data(named or beside, model.inputs, scaling)
    found = made_up_inputs(model.inputs, seed, scaling, oddness(teacher), id_limits(model))
    made = checked(model.inputs, found.inputs)
    source = f"data-free: {found.title}, seed {seed}"
    figures = DataFigures(source, made.sha256, made.samples, data_free=True)
    return Data(made, figures, guess=found.guess, images=found.images)


def _checked(path: Path, expected: Sequence[Input], inputs: Mapping[str, Array]) -> Checked:
    """Inputs read from a file or folder; DataError unless they fit what is expected."""
    with naming(path):
        return checked(expected, inputs)


def _figures(path: Path, read: Checked) -> DataFigures:
    return DataFigures(path.resolve().name, read.sha256, read.samples, data_free=False)
