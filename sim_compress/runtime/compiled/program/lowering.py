"""A model as a program for one batch size: stage after stage, block after block."""

from dataclasses import replace
from functools import cached_property

from sim_compress.model import Affine, ImplicitModel, Output, StateBlock
from sim_compress.model.maps import Array
from sim_compress.runtime.compiled.code.rounds import ROWS
from sim_compress.runtime.compiled.layout.borders import Borders, borders
from sim_compress.runtime.compiled.layout.forms import Form, forms
from sim_compress.runtime.compiled.layout.lanes import Lanes
from sim_compress.runtime.compiled.layout.places import Flat, Outside, Place, Tiled
from sim_compress.runtime.compiled.program.assembly import Assembly, Constants
from sim_compress.runtime.compiled.program.blocks.choice import in_phases
from sim_compress.runtime.compiled.program.blocks.dense import lower_dense
from sim_compress.runtime.compiled.program.blocks.entrywise import lower_entrywise, lower_truth
from sim_compress.runtime.compiled.program.blocks.groups import (
    lower_matrix,
    lower_normalisation,
    normalises,
    scaled_source,
)
from sim_compress.runtime.compiled.program.blocks.halos import fill_halo
from sim_compress.runtime.compiled.program.blocks.joined import lower_joined
from sim_compress.runtime.compiled.program.blocks.lookups import lower_lookup
from sim_compress.runtime.compiled.program.blocks.phased import lower_phased
from sim_compress.runtime.compiled.program.blocks.phis import (
    LINEAR_PHI,
    Parameters,
    apply_phi,
    fused_phi,
    has_operation,
)
from sim_compress.runtime.compiled.program.blocks.pooling import lower_pool, pools_in_lanes, read_as_it_is
from sim_compress.runtime.compiled.program.blocks.products import lower_product
from sim_compress.runtime.compiled.program.blocks.tiled import lower_tiled
from sim_compress.runtime.compiled.program.context import LARGEST_ARENA, Context, rounded_up
from sim_compress.runtime.compiled.program.factors import without_factors
from sim_compress.runtime.compiled.program.prefixes import with_shared_prefixes
from sim_compress.runtime.compiled.program.steps import Loop, Program, Reference, Step
from sim_compress.runtime.kernels import preactivation
from sim_compress.runtime.schedule import Stage, schedule

# Vectors of tokens that lie side by side.
TOKENS = 8


class Lowering:
    """Makes the programs of one model; weights are shared between them."""

    def __init__(self, model: ImplicitModel, width: int, tile: int) -> None:
        self._model = without_factors(with_shared_prefixes(model))
        self._width, self._tile = width, tile
        self._stages = schedule(self._model)
        self._constants = Constants()
        self.forms = forms(self._model)
        self._pointwise = not borders(self._model, self.forms, Lanes(width, 1)).haloed

    @property
    def cyclic(self) -> bool:
        """Whether the model has loops."""
        return any(stage.cyclic for stage in self._stages)

    @cached_property
    def tokens(self) -> int:
        """Tokens of the largest value where no row reads beside its own token, 0 for images."""
        sizes = [form.size for form in (*self.forms.states.values(), *self.forms.sums.values())]
        attends = any(block.phi.name == "matmul" for block in self._model.blocks)
        if not self._pointwise or not (attends or all(size[0] == 1 for size in sizes)):
            return 0
        weighted = (self.forms.sums[name].size for name, affine in self._model.affines() if affine.weighted)
        return max((rows * columns for rows, columns in weighted), default=1)

    def program(self, samples: int, threads: int = 1) -> Program:
        """The program for a batch of so many samples that so many threads work on together."""
        found = self._borders(samples, threads)
        while True:
            program, size = self._assembled(found, threads)
            if size <= found.lanes.distance or found.lanes.bands == 1:
                return program
            found = borders(self._model, self.forms, replace(found.lanes, distance=size))

    def _borders(self, samples: int, threads: int) -> Borders:
        """Geometries in bands for the threads, unless the same terms could not be read in place then.

        A sum has the same order for any number of threads only where the terms have the same segments.
        """
        whole = borders(self._model, self.forms, Lanes(self._width, samples))
        if self.tokens > 1:
            return self._in_bands(whole, 1 << (-(-self.tokens // (self._width * TOKENS)) - 1).bit_length())
        bands = 1 << threads.bit_length() - 1
        if bands == 1 or 2 * samples > self._width:
            return whole
        return self._in_bands(whole, bands)

    def _in_bands(self, whole: Borders, bands: int) -> Borders:
        """The same geometries in so many bands."""
        samples = whole.lanes.samples
        if bands == 1 or (samples > 1 and self.tokens > 1):
            return whole
        cut = borders(self._model, self.forms, Lanes(self._width, samples, bands))
        if cut.fitting != whole.fitting:
            return whole
        # More than enough where the memory of values is used again.
        rows = [
            (rounded_up(f.channels, ROWS), cut.geometries[f.size])
            for f in [*self.forms.states.values(), *self.forms.sums.values()]
            if f.size in cut.geometries
        ]
        distance = sum(channels * geometry.plane for channels, geometry in rows)
        if bands * distance * self._width > LARGEST_ARENA:
            return whole
        return borders(self._model, self.forms, replace(cut.lanes, distance=distance))

    def _assembled(self, found: Borders, threads: int) -> tuple[Program, int]:
        """A program, and the vectors that a band of it takes."""
        lanes = found.lanes
        context = Context(lanes, self._tile, found, Assembly(self._constants), threads)
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
        outputs = {o.name: self._output(context, o) for o in self._model.outputs}
        done += context.steps.finish()
        # One vector beyond the end: a halo is read shifted by lanes.
        size = context.regions.size + 1
        floats = ((lanes.bands - 1) * lanes.distance + size) * self._width
        tables = context.assembly.tables()
        program = Program(
            lanes,
            tables,
            tuple(done),
            tuple(context.loads),
            outputs,
            tuple(context.steps.begins),
            tuple(context.fixed),
            tuple(context.tables),
            floats,
        )
        return program, size

    def _output(self, context: Context, output: Output) -> Place:
        context.steps.begin(output.name)
        return self._affine(context, output.name, output.affine)

    def _loop(self, context: Context, stage: Stage) -> Loop:
        states = {b.name: context.place(self.forms.states[b.name]) for b in stage.blocks}
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
        context.steps.begin(block.name)
        form = self.forms.states[block.name]
        if normalises(context, block.phi, form) and self.forms.sums[block.name] == form:
            return self._normalised(context, block, form)
        if block.affine.lookups and (looked_up := lower_lookup(context, block, form)) is not None:
            return looked_up
        if (truth := lower_truth(context, block, form)) is not None:
            return apply_phi(context, block.phi, truth, form)
        if not has_operation(block.phi) and not block.affine.weighted:
            return self._unweighted(context, block)
        if pools_in_lanes(context, self._model, block, self.forms.sums[block.name], form):
            pooled = self._pooled(context, block, form)
            if halo and block.name in context.borders.haloed:
                fill_halo(context, pooled)
            context.end_block()
            return pooled
        fused = fused_phi(block.phi)
        halo = halo and block.name in context.borders.haloed
        place = self._affine(
            context, block.name, block.affine, fused or LINEAR_PHI, halo and fused is not None
        )
        if fused is None:
            place = apply_phi(context, block.phi, place, form)
            if halo:
                fill_halo(context, place)
        context.end_block()
        return place

    def _pooled(self, context: Context, block: StateBlock, form: Form) -> Tiled:
        """A max pooling of a state, or of sums that are formed for it."""
        source = read_as_it_is(block)
        z = context.values.get(source or "")
        if not isinstance(z, Tiled):
            z = self._affine(context, block.name, block.affine)
            assert isinstance(z, Tiled), "what has positions lies in vectors"
            context.end_with_block(z)
            if any(z.geometry.halo):
                fill_halo(context, z)
        return lower_pool(context, block, z, form)

    def _normalised(self, context: Context, block: StateBlock, form: Form) -> Place:
        """A softmax or norm of channels, in place or from a value that is read as it lies."""
        found = scaled_source(context, block, form)
        if found is None:
            z = self._affine(context, block.name, block.affine)
            assert isinstance(z, Tiled), "channels under each other lie in vectors"
            lower_normalisation(context, block.phi, z, z)
            context.end_block()
            return z
        x = context.place(form)
        assert isinstance(x, Tiled), "channels under each other lie in vectors"
        lower_normalisation(context, block.phi, found[0], x, found[1])
        return x

    def _unweighted(self, context: Context, block: StateBlock) -> Place:
        """A block without parameters by the reference, sums and phi together, if phi has no operation."""
        lower = {"product": lower_product, "matmul": lower_matrix}.get(block.phi.name)
        lower = lower or lower_entrywise
        product = lower(context, block, self.forms.states[block.name])
        if product is not None:
            return product
        names = list(dict.fromkeys(term.source for term in block.affine.terms))
        place = context.place(self.forms.states[block.name])

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
        place = context.place(self.forms.sums[name])
        if phi == LINEAR_PHI and lower_joined(context, affine, place):
            return place
        if isinstance(place, Flat):
            lower_dense(context, name, affine, place, phi)
        elif self.tokens or in_phases(affine):
            lower_phased(context, name, affine, place, phi, tokens=self.tokens > 0)
            if halo:
                fill_halo(context, place)
        else:
            lower_tiled(context, name, affine, place, phi, halo=halo)
        return place
