"""A model as a program for one batch size: stage after stage, block after block."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.activations import Activation
from sim_compress.model import Affine, ImplicitModel, StateBlock
from sim_compress.runtime.compiled.borders import borders, forms
from sim_compress.runtime.compiled.context import LINEAR_PHI, Context, Parameters, fused_phi
from sim_compress.runtime.compiled.dense import lower_dense
from sim_compress.runtime.compiled.factors import without_factors
from sim_compress.runtime.compiled.lanes import Lanes
from sim_compress.runtime.compiled.operations import (
    CHUNK,
    LEAKY_RELU,
    SIGMOID,
    TANH,
    Componentwise,
    Halo,
    Maximum,
)
from sim_compress.runtime.compiled.places import Flat, Load, Outside, Place, Tiled
from sim_compress.runtime.compiled.program import Assembly, Constants, Tables
from sim_compress.runtime.compiled.tiled import lower_tiled
from sim_compress.runtime.compiled.windows import Form, form_of
from sim_compress.runtime.schedule import Stage, schedule

COMPONENTWISE = {"leaky_relu": LEAKY_RELU, "tanh": TANH, "sigmoid": SIGMOID}
# Items of a halo: some channels each.
HALO_ITEMS = 8


@dataclass(frozen=True)
class Operations:
    """Run the operations first..last-1."""

    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Reference:
    """x = phi(z) by the reference, for a phi that has no operation."""

    phi: Activation
    source: Place
    target: Place


Step = Operations | Reference


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
        floats: size of the arena.
    """

    lanes: Lanes
    tables: Tables
    steps: tuple[Step | Loop, ...]
    loads: tuple[Load, ...]
    outputs: dict[str, Place]
    floats: int


class _Steps:
    """Steps in the making; operations in a row become one step."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._begin = assembly.length
        self._done: list[Step] = []

    def flush(self) -> None:
        if self._assembly.length > self._begin:
            self._done.append(Operations(self._begin, self._assembly.length))
        self._begin = self._assembly.length

    def add(self, step: Step) -> None:
        self.flush()
        self._done.append(step)

    def finish(self) -> tuple[Step, ...]:
        self.flush()
        done, self._done = tuple(self._done), []
        return done


class Lowering:
    """Makes the programs of one model; weights are shared between them."""

    def __init__(self, model: ImplicitModel, width: int, tile: int) -> None:
        self._model, self._width, self._tile = without_factors(model), width, tile
        self._stages = schedule(self._model)
        self._constants = Constants()
        self._forms = forms(model)

    def program(self, samples: int) -> Program:
        """The program for a batch of so many samples."""
        lanes = Lanes(self._width, samples)
        context = Context(lanes, self._tile, borders(self._model, lanes), Assembly(self._constants))
        context.values |= {i.name: Outside(Form(i.shape)) for i in self._model.inputs}
        steps = _Steps(context.assembly)
        done: list[Step | Loop] = []
        for stage in self._stages:
            if stage.cyclic:
                done += steps.finish()
                done.append(self._loop(context, steps, stage))
            else:
                for block in stage.blocks:
                    context.values[block.name] = self._block(context, steps, block, halo=True)
            for name in stage.dead:
                context.end_value(name)
        outputs = {o.name: self._affine(context, o.name, o.affine) for o in self._model.outputs}
        done += steps.finish()
        # One vector beyond the end: a halo is read shifted by lanes.
        floats = (context.regions.size + 1) * self._width
        return Program(lanes, context.assembly.tables(), tuple(done), tuple(context.loads), outputs, floats)

    def _loop(self, context: Context, steps: _Steps, stage: Stage) -> Loop:
        states = {b.name: context.place(self._forms[b.name]) for b in stage.blocks}
        context.values |= states
        for name, place in states.items():
            if name in context.borders.haloed:
                self._halo(context, place)
        refresh = steps.finish()
        updated = {b.name: self._block(context, steps, b, halo=False) for b in stage.blocks}
        loop = Loop(states, updated, refresh, steps.finish())
        for place in updated.values():
            context.regions.give_back(context.first_vector(place))
        return loop

    def _block(self, context: Context, steps: _Steps, block: StateBlock, *, halo: bool) -> Place:
        """The place of x = phi(z)."""
        fused = fused_phi(block.phi)
        halo = halo and block.name in context.borders.haloed
        place = self._affine(
            context, block.name, block.affine, fused or LINEAR_PHI, halo and fused is not None
        )
        if fused is None:
            place = self._apply(context, steps, block, place)
            if halo:
                self._halo(context, place)
        context.end_block()
        return place

    def _affine(
        self,
        context: Context,
        name: str,
        affine: Affine,
        phi: Parameters = LINEAR_PHI,
        halo: bool = False,
    ) -> Place:
        place = context.place(form_of(affine))
        if isinstance(place, Flat):
            lower_dense(context, name, affine, place, phi)
        else:
            lower_tiled(context, name, affine, place, phi, halo=halo)
        return place

    def _apply(self, context: Context, steps: _Steps, block: StateBlock, z: Place) -> Place:
        """phi where it is not fused into the sums: in place where it is componentwise."""
        if block.phi.name in COMPONENTWISE:
            _componentwise(context, block.phi, z)
            return z
        context.end_with_block(z)
        x = context.place(self._forms[block.name])
        if block.phi.name == "max_pool":
            _maximum(context, block.phi, z, x)
        else:
            steps.add(Reference(block.phi, z, x))
        return x

    def _halo(self, context: Context, place: Place) -> None:
        """Fill the borders of patches."""
        if not isinstance(place, Tiled):
            return
        pairs, lanes, _ = place.geometry.halo_copies()
        if not len(pairs):
            return
        assembly, width = context.assembly, context.lanes.width
        channels = place.form.channels
        share = -(-channels // HALO_ITEMS)
        assembly.add(
            Halo(
                -(-channels // share),
                place.base * width,
                place.geometry.plane * width,
                channels,
                share,
                len(pairs),
                assembly.integers(pairs, ("halo", place.geometry)),
                assembly.masks(lanes, ("halo", place.geometry)),
            )
        )


def _componentwise(context: Context, phi: Activation, place: Place) -> None:
    assembly = context.assembly
    elements = place.elements.ravel()
    parameters = np.array(list(phi.attributes.values()) or [0.0])
    assembly.add(
        Componentwise(
            -(-len(elements) // CHUNK),
            assembly.integers(elements),
            len(elements),
            place.step,
            context.lanes.samples,
            COMPONENTWISE[phi.name],
            assembly.constants.add((phi.name, *parameters), parameters),
        )
    )


def _maximum(context: Context, phi: Activation, z: Place, x: Place) -> None:
    windows = _pool_windows(z.elements, phi).reshape(x.elements.size, -1)
    assembly = context.assembly
    assembly.add(
        Maximum(
            -(-len(windows) // CHUNK),
            assembly.integers(x.elements),
            assembly.integers(windows),
            windows.shape[1],
            len(windows),
            x.step,
            z.step,
            context.lanes.samples,
        )
    )


def _pool_windows(elements: NDArray[np.int64], phi: Activation) -> NDArray[np.int64]:
    """Elements under each window of a max pooling, (channels, *out, *kernel); -1 outside the image."""
    a = phi.attributes
    pads = [(0, 0), *zip(a["pads_begin"], a["pads_end"], strict=True)]
    padded = np.pad(elements, pads, constant_values=-1)
    spans = [(k - 1) * d + 1 for k, d in zip(a["kernel"], a["dilations"], strict=True)]
    views = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=tuple(range(1, elements.ndim)))
    strides = (slice(None), *(slice(None, None, s) for s in a["strides"]))
    return views[(*strides, *(slice(None, None, d) for d in a["dilations"]))]
