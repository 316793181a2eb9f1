"""The loss that attacks raise: cross-entropy of the class scores, by its gradient alone."""

from collections.abc import Mapping

import numpy as np
from scipy import special

from sim_compress.model.maps import Array
from sim_compress.robustness.attacks import Gradient
from sim_compress.runtime.reverse.inputs import InputGradients


def cross_entropy_gradient(scores: Array, classes: Array) -> Array:
    """Of the scores (samples, classes), up to a factor for each sample; classes (samples,).

    What all other classes have is summed, and not 1 minus what the right one has: a sample that the model
    is sure of has a direction too. The largest entry of each is 1.
    """
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    rows = np.arange(len(flat))
    others = flat.copy()
    others[rows, classes] = -np.inf
    # The same as the softmax of all up to the factor.
    found = special.softmax(others, axis=1)
    found[rows, classes] = -1.0
    return found.reshape(scores.shape).astype(np.float32)


class Ascent:
    """Where the cross-entropy of a model grows.

    Args:
        model: its gradients.
        output: name of the one with class scores.
    """

    def __init__(self, model: InputGradients, output: str) -> None:
        self._model, self._output = model, output

    def of(self, classes: Array) -> Gradient:
        """The direction for samples of these classes."""

        def gradient(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
            return self._model(
                inputs, lambda outputs: {self._output: cross_entropy_gradient(outputs[self._output], classes)}
            )

        return gradient
