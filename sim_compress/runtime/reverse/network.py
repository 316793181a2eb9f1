"""A model that is evaluated in lanes, block after block, and differentiated backwards."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from sim_compress.certificate import order_of_evaluation
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel, StateBlock
from sim_compress.model.maps import Array
from sim_compress.runtime.reverse.lanes import Buffers, Floats, filled, shaped
from sim_compress.runtime.reverse.phis import IN_PLACE, pulled_back
from sim_compress.runtime.reverse.rows import Rows, Values
from sim_compress.runtime.reverse.tied_code import LANES


class Network:
    """An acyclic model whose values may be changed.

    Attributes:
        names: blocks in order of evaluation, then outputs.
        inputs: the model's inputs.
        blocks: name -> block.
        rows: name of a block or output -> its rows.

    Raises:
        InputError: the model has loops.
    """

    def __init__(self, model: ImplicitModel) -> None:
        order = order_of_evaluation(model)
        if order is None:
            raise InputError("a model with loops is not differentiated here: use to_torch()")
        self._model, self.inputs = model, model.inputs
        self.names = [*order, *(o.name for o in model.outputs)]
        self.blocks = {b.name: b for b in model.blocks}
        self.rows = {name: Rows(name, affine, model.shapes) for name, affine in model.affines()}

    def model(self) -> ImplicitModel:
        """The model with the values as they are now."""
        own = self._model
        blocks = tuple(replace(b, affine=self.rows[b.name].affine()) for b in own.blocks)
        outputs = tuple(replace(o, affine=self.rows[o.name].affine()) for o in own.outputs)
        return ImplicitModel(own.inputs, blocks, outputs)


class Pass:
    """Evaluations of a network, one after the other in the same memory."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._values = Values({}, {}, Buffers())
        # Pre-activations; their gradients need them.
        self._z: dict[str, Floats] = {}

    def begin(self, batch: Mapping[str, Array]) -> None:
        """Take at most LANES samples, input name -> (samples, *shape)."""
        for i in self._network.inputs:
            raw = filled(i.values(batch[i.name].astype(i.dtype, copy=False)))
            self._values.raw[i.name] = raw
            taken = self._values.buffers.entries(i.name, raw.size // LANES)
            taken[:-1] = raw.reshape(-1, LANES)
            self._values.entries[i.name] = taken

    def evaluate(self, name: str) -> Floats:
        """The entries of a block's state or of an output, once those of all names before it are there."""
        block = self._network.blocks.get(name)
        rectified = block is not None and block.phi.name == "relu"
        z = self._network.rows[name].forward(self._values, rectified=rectified)
        if block is None:
            return z
        self._z[name] = z
        self._values.entries[name] = x = self._state(block, z)
        return x

    def backward(self, gradients: dict[str, Floats], wanted: Collection[str]) -> dict[str, list[Floats]]:
        """Gradients of the parameters of some names.

        Args:
            gradients: name -> gradient of every state and output by itself; what follows from later ones is
                added to them.
        """
        names, found = self._network.names, {}
        first = min(map(names.index, wanted), default=len(names))
        for name in reversed(names[first:]):
            dz = self._pulled_back(name, gradients[name])
            own = self._network.rows[name].backward(self._values, dz, gradients)
            if name in wanted:
                found[name] = own
        return found

    def _state(self, block: StateBlock, z: Floats) -> Floats:
        """x; where the gradient of phi needs no z, in its place."""
        if block.phi.name in IN_PLACE:
            return z
        found = block.phi(shaped(z, block.affine.shape)).reshape(-1, LANES)
        made = self._values.buffers.entries((block.name, "x"), len(found))
        made[:-1] = found
        return made

    def _pulled_back(self, name: str, dx: Floats) -> Floats:
        """The gradient of z."""
        block = self._network.blocks.get(name)
        if block is None:
            return dx
        x, z = self._values.entries[name], self._z[name]
        if block.phi.name in IN_PLACE:
            IN_PLACE[block.phi.name](x, dx)
            return dx
        shape, z_shape = block.shape, block.affine.shape
        found = pulled_back(block.phi, shaped(z, z_shape), shaped(x, shape), shaped(dx, shape))
        made = self._values.buffers.entries((name, "dz"), found.size // LANES)
        made[:-1] = found.reshape(-1, LANES)
        return made
