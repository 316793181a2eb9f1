"""What an arena does, one step after another."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.activations import Activation
from sim_compress.model.maps import Array
from sim_compress.runtime.compiled.layout.lanes import Lanes
from sim_compress.runtime.compiled.layout.places import Fixed, Load, Outside, Place
from sim_compress.runtime.compiled.program.assembly import Assembly, Tables


@dataclass(frozen=True)
class Operations:
    """Run the operations first..last-1."""

    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Reference:
    """A phi, a chain of maps or a whole block that has no operation, by numpy as in the scipy kernel.

    Attributes:
        function: sources (*shape, samples) -> target (*shape, samples).
        block: name of the block or output.
    """

    function: Callable[..., Array]
    sources: tuple[Place | Outside, ...]
    target: Place
    block: str = ""


@dataclass(frozen=True, eq=False)
class InPlace:
    """A phi that is one function of every entry, by numpy on the whole of a place.

    Attributes:
        first, last: floats of the arena.
        outside: floats that are no entry and stay zero, because convolutions read them as padding.
        block: name of the block.
    """

    phi: Activation
    first: int
    last: int
    outside: NDArray[np.int64]
    block: str = ""


Step = Operations | Reference | InPlace


@dataclass(frozen=True, eq=False)
class Loop:
    """A fixed point: write the states, run the steps, read the new states, until they stay.

    Attributes:
        states: where each state is read by the loop and by what follows.
        updated: where the steps leave phi(Ax + Bu).
        refresh: steps to run when the states were written.
    """

    states: dict[str, Place]
    updated: dict[str, Place]
    refresh: tuple[Step, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """Everything a batch of one size needs beside its arena.

    Attributes:
        begins: the first operation of each block or output and its name.
        fixed: what is written into an arena when it is made.
        kept: arrays whose addresses are in the operations.
        floats: size of the arena.
    """

    lanes: Lanes
    tables: Tables
    steps: tuple[Step | Loop, ...]
    loads: tuple[Load, ...]
    outputs: dict[str, Place]
    begins: tuple[tuple[int, str], ...]
    fixed: tuple[Fixed, ...]
    kept: tuple[Array, ...]
    floats: int


class Steps:
    """Steps in the making; operations in a row become one step.

    Attributes:
        block: name of the block or output at hand.
        begins: the first operation of each block and its name.
    """

    def __init__(self, assembly: Assembly) -> None:
        self.block = ""
        self.begins: list[tuple[int, str]] = []
        self._assembly = assembly
        self._begin = assembly.length
        self._done: list[Step] = []

    def _flush(self) -> None:
        if self._assembly.length > self._begin:
            self._done.append(Operations(self._begin, self._assembly.length))
        self._begin = self._assembly.length

    def add(self, step: Step) -> None:
        """Append a step after the operations so far."""
        self._flush()
        self._done.append(step if isinstance(step, Operations) else replace(step, block=self.block))

    def begin(self, block: str) -> None:
        """What follows is of this block or output."""
        self.block = block
        self.begins.append((self._assembly.length, block))

    def finish(self) -> tuple[Step, ...]:
        """The steps since the last finish."""
        self._flush()
        done, self._done = tuple(self._done), []
        return done
