"""Break one rule of a valid artifact, and what the refusal of it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim_compress.artifact import read
from sim_compress.errors import ArtifactError
from sim_compress.model import ImplicitModel

from .crafting import Crafted, tensor

Change = Callable[[Crafted], object]
Rule = tuple[str, Change, str]


def refusal(data: bytes, folder: Path) -> str:
    """The message with which a file of these bytes is refused."""
    (folder / "bad.safetensors").write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        read(folder / "bad.safetensors")
    assert str(caught.value).startswith(str(folder / "bad.safetensors"))
    return str(caught.value)


def refusal_after(change: Change, model: ImplicitModel, folder: Path, shared: bool = False) -> str:
    """The message for a valid artifact with one thing changed; its parts stand apart or share tensors."""
    crafted = Crafted.of(model, shared)
    change(crafted)
    return refusal(crafted.bytes(), folder)


def field(path: str, value: Any) -> Change:
    """Set the metadata at a path like blocks.0.terms.0.source."""

    def change(crafted: Crafted) -> None:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        place: Any = crafted.metadata
        for key in parents:
            place = place[key]
        place[last] = value

    return change


def no_field(path: str, key: str) -> Change:
    """Delete a key of the object at a path."""

    def change(crafted: Crafted) -> None:
        place: Any = crafted.metadata
        for step in path.split(".") if path else []:
            place = place[int(step) if step.isdigit() else step]
        del place[key]

    return change


def array(name: str, edit: Callable[[np.ndarray], Any]) -> Change:
    """Put another array in the place of one."""

    def change(crafted: Crafted) -> None:
        crafted.tensors[name] = tensor(np.asarray(edit(crafted.array(name))))

    return change


def no_array(name: str) -> Change:
    return lambda crafted: crafted.tensors.pop(name)


def added(name: str, values: np.ndarray) -> Change:
    """One tensor more."""

    def change(crafted: Crafted) -> None:
        crafted.tensors[name] = tensor(values)

    return change


def both(*changes: Change) -> Change:
    """Several changes, one after the other."""

    def change(crafted: Crafted) -> None:
        for one in changes:
            one(crafted)

    return change


def with_entry(index: int | slice, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """The same array with other entries at an index."""

    def edit(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values.reshape(-1)[index] = value
        return values

    return edit


def cut(values: np.ndarray) -> np.ndarray:
    return values[:-1]


def cases(rules: list[Rule]) -> pytest.MarkDecorator:
    """One test for each (rule broken, change, words of the refusal)."""
    return pytest.mark.parametrize(("change", "message"), [r[1:] for r in rules], ids=[r[0] for r in rules])
