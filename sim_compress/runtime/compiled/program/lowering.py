"""A model as a program for one batch size: stage after stage, block after block."""

from dataclasses import replace

from sim_compress.model import Affine, ImplicitModel, StateBlock
from sim_compress.model.maps import Array
from sim_compress.runtime.compiled.code.rounds import ROWS
from sim_compress.runtime.compiled.layout.borders import Borders, borders
from sim_compress.runtime.compiled.layout.forms import Form, form_of, forms
from sim_compress.runtime.compiled.layout.lanes import Lanes
from sim_compress.runtime.compiled.layout.places import Flat, Outside, Place
from sim_compress.runtime.compiled.program.assembly import Assembly, Constants
from sim_compress.runtime.compiled.program.context import LARGEST_ARENA, Context, rounded_up
from sim_compress.runtime.compiled.program.dense import lower_dense
from sim_compress.runtime.compiled.program.factors import without_factors
from sim_compress.runtime.compiled.program.halos import fill_halo
from sim_compress.runtime.compiled.program.joined import lower_joined
from sim_compress.runtime.compiled.program.phis import (
    LINEAR_PHI,
    Parameters,
    apply_phi,
    fused_phi,
    has_operation,
)
from sim_compress.runtime.compiled.program.products import lower_product
from sim_compress.runtime.compiled.program.steps import Loop, Program, Reference, Step
from sim_compress.runtime.compiled.program.tiled import lower_tiled
from sim_compress.runtime.kernels import preactivation
from sim_compress.runtime.schedule import Stage, schedule


class Lowering:
    """Makes the programs of one model; weights are shared between them."""

    def __init__(self, model: ImplicitModel, width: int, tile: int) -> None:
        self._model, self._width, self._tile = without_factors(model), width, tile
        self._stages = schedule(self._model)
        self._constants = Constants()
        self._forms = forms(model)

    def program(self, samples: int, threads: int = 1) -> Program:
        """The program for a batch of so many samples that so many threads work on together."""
        found = self._borders(samples, threads)
        while True:
            program, size = self._assembled(found)
            if size <= found.lanes.distance or found.lanes.bands == 1:
                return program
            found = borders(self._model, replace(found.lanes, distance=size))

    def _borders(self, samples: int, threads: int) -> Borders:
        """Geometries in bands for the threads, unless the same terms could not be read in place then.

        A sum has the same order for any number of threads only where the terms have the same segments.
        """
        whole = borders(self._model, Lanes(self._width, samples))
        bands = 1 << threads.bit_length() - 1
        if bands == 1 or 2 * samples > self._width:
            return whole
        cut = borders(self._model, Lanes(self._width, samples, bands))
        if cut.fitting != whole.fitting:
            return whole
        # More than enough where the memory of values is used again.
        rows = [(rounded_up(f.channels, ROWS), cut.geometries[f.size]) for f in self._forms.values()]
        distance = sum(channels * geometry.plane for channels, geometry in rows)
        if bands * distance * self._width > LARGEST_ARENA:
            return whole
        return borders(self._model, replace(cut.lanes, distance=distance))

    def _assembled(self, found: Borders) -> tuple[Program, int]:
        """A program, and the vectors that a band of it takes."""
        lanes = found.lanes
        context = Context(lanes, self._tile, found, Assembly(self._constants))
        context.values |= {
            i.name: Outside(i.name, Form(i.shape), i.dtype == "float32") for i in self._model.inputs
        }
        done: list[Step | Loop] = []
        for stage in self._stages:
            if stage.cyclic:
                done += context.steps.finish()
                done.append(self._loop(context, stage))
            else:
                for block in stage.blocks:
                    context.values[block.name] = self._block(context, block, halo=True)
            for name in stage.dead:
                context.end_value(name)
        outputs = {o.name: self._affine(context, o.name, o.affine) for o in self._model.outputs}
        done += context.steps.finish()
        # One vector beyond the end: a halo is read shifted by lanes.
        size = context.regions.size + 1
        floats = ((lanes.bands - 1) * lanes.distance + size) * self._width
        tables = context.assembly.tables()
        return Program(lanes, tables, tuple(done), tuple(context.loads), outputs, floats), size

    def _loop(self, context: Context, stage: Stage) -> Loop:
        states = {b.name: context.place(self._forms[b.name]) for b in stage.blocks}
        context.values |= states
        for name, place in states.items():
            if name in context.borders.haloed:
                fill_halo(context, place)
        refresh = context.steps.finish()
        updated = {b.name: self._block(context, b, halo=False) for b in stage.blocks}
        loop = Loop(states, updated, refresh, context.steps.finish())
        for place in updated.values():
            context.regions.give_back(context.first_vector(place))
        return loop

    def _block(self, context: Context, block: StateBlock, *, halo: bool) -> Place:
        """The place of x = phi(z)."""
        if not has_operation(block.phi) and not block.affine.weighted:
            return self._unweighted(context, block)
        fused = fused_phi(block.phi)
        halo = halo and block.name in context.borders.haloed
        place = self._affine(
            context, block.name, block.affine, fused or LINEAR_PHI, halo and fused is not None
        )
        if fused is None:
            place = apply_phi(context, block.phi, place, self._forms[block.name])
            if halo:
                fill_halo(context, place)
        context.end_block()
        return place

    def _unweighted(self, context: Context, block: StateBlock) -> Place:
        """A block without parameters by the reference, sums and phi together, if phi has no operation."""
        if block.phi.name == "product":
            product = lower_product(context, block, self._forms[block.name])
            if product is not None:
                return product
        names = list(dict.fromkeys(term.source for term in block.affine.terms))
        place = context.place(self._forms[block.name])

        def evaluate(*values: Array) -> Array:
            return block.phi(preactivation(block.affine, dict(zip(names, values, strict=True))))

        context.steps.add(Reference(evaluate, tuple(context.values[n] for n in names), place))
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
        if phi == LINEAR_PHI and lower_joined(context, affine, place):
            return place
        if isinstance(place, Flat):
            lower_dense(context, name, affine, place, phi)
        else:
            lower_tiled(context, name, affine, place, phi, halo=halo)
        return place
