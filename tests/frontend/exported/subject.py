"""What is exported: a torch module, and how its inputs are drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Sizes that no two axes share: tokens, features of a token, heads, entries of a vocabulary.
TOKENS, FEATURES, HEADS, VOCABULARY = 7, 32, 4, 99
# Ids below this one are special in many tokenizers: padding, begin, end.
FIRST_WORD = 3

Draw = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Given:
    """An input of forward.

    Attributes:
        name: of the input in the file.
        draw: (generator, samples) -> values, samples along `batch_axis`.
        batch_axis: axis of the samples.
    """

    name: str
    draw: Draw
    batch_axis: int = 0


@dataclass(frozen=True)
class Subject:
    """A network from its configuration.

    Attributes:
        module: makes the torch module, whose forward takes the inputs in order.
        inputs: what forward takes.
        outputs: name of what it gives -> axis of the samples.
    """

    module: Callable[[], Any]
    inputs: tuple[Given, ...]
    outputs: Mapping[str, int]

    def drawn(self, samples: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Inputs as the file takes them."""
        rng = np.random.default_rng(seed)
        return {i.name: i.draw(rng, samples) for i in self.inputs}

    def names(self) -> list[str]:
        return [i.name for i in self.inputs]


def words(tokens: int = TOKENS) -> Draw:
    return lambda rng, samples: rng.integers(FIRST_WORD, VOCABULARY - 1, (samples, tokens))


def lengths_mask(tokens: int = TOKENS) -> Draw:
    """1 where a text has a token; texts of the batch differ in length, the first is whole."""

    def draw(_rng: np.random.Generator, samples: int) -> np.ndarray:
        lengths = tokens - np.arange(samples) % 3
        return (np.arange(tokens) < lengths[:, None]).astype(np.int64)

    return draw


def padding(tokens: int = TOKENS) -> Draw:
    """True where a text is padded, as torch's modules ask."""
    mask = lengths_mask(tokens)
    return lambda rng, samples: mask(rng, samples) == 0


def normal(*shape: int, batch_axis: int = 0) -> Draw:
    def draw(rng: np.random.Generator, samples: int) -> np.ndarray:
        whole = (*shape[:batch_axis], samples, *shape[batch_axis:])
        return rng.standard_normal(whole).astype(np.float32)

    return draw


def called(module: Any, names: Sequence[str], outputs: Sequence[str], **options: Any) -> Any:
    """A module whose forward takes positional inputs and gives the named outputs of a Hugging Face model."""
    import torch

    class Called(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, *inputs):
            found = self.model(**dict(zip(names, inputs, strict=True)), **options)
            return tuple(found[name] for name in outputs)

    return Called()


def hugging_face(
    make: Callable[[], Any], inputs: Sequence[Given], outputs: Sequence[str], **options: Any
) -> Subject:
    """A model of Hugging Face, called by the names of its inputs and with further options of its forward."""
    names = [i.name for i in inputs]
    return Subject(
        lambda: called(make(), names, outputs, **options), tuple(inputs), dict.fromkeys(outputs, 0)
    )
