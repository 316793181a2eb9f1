"""A model that is evaluated in lanes, block after block, and differentiated backwards."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from scipy import sparse

from sim_compress.certificate import order_of_evaluation
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, StateBlock, every_use, replaced
from sim_compress.model.maps import Array
from sim_compress.runtime.reverse.lanes import Buffers, Floats, filled, shaped
from sim_compress.runtime.reverse.phis import IN_PLACE, pulled_back
from sim_compress.runtime.reverse.rows import Rows, Values, parameters_of
from sim_compress.runtime.reverse.tied_code import LANES
from sim_compress.runtime.schedule import schedule


class Network:
    """A model whose values may be changed.

    Args:
        model: the model.
        loops: whether it may have loops, which a `Pass` does not evaluate.

    Attributes:
        names: blocks in order of evaluation, then outputs.
        inputs: the model's inputs.
        blocks: name -> block.
        owners: name of a block or output with rows -> the one that owns them.
        readers: owner of rows -> blocks and outputs that look ids up in them.
        tables: owner of such rows -> number of a weight that is a table -> it with its parameters as values.
        rows: name of a block or output -> its rows; where rows are shared, the parameters are the owner's.

    Raises:
        InputError: the model has loops, and may not.
    """

    def __init__(self, model: ImplicitModel, *, loops: bool = False) -> None:
        order = order_of_evaluation(model)
        if order is None:
            if not loops:
                raise InputError("the values of a model with loops are not differentiated: use to_torch()")
            order = tuple(b.name for stage in schedule(model) for b in stage.blocks)
        self._model, self.inputs, self.owners = model, model.inputs, model.owners
        self.readers = model.readers
        self.names = [*order, *(o.name for o in model.outputs)]
        self.blocks = {b.name: b for b in model.blocks}
        parameters = {n: parameters_of(a) for n, a in model.affines() if model.owns(n)}
        own = dict(model.affines())
        # What lookups read changes with the values.
        self.tables = {n: _tables(model, n, own[n], parameters[n]) for n in model.readers}
        tables = {
            id(own[n].weights[i]): table for n, found in self.tables.items() for i, table in found.items()
        }
        self.rows = {
            n: Rows(n, a, model.shapes, parameters[model.owners.get(n, n)], tables)
            for n, a in model.affines()
        }

    def model(self) -> ImplicitModel:
        """The model with the values as they are now."""
        own = self._model
        return replaced(
            own, every_use(own, {n: rows.affine() for n, rows in self.rows.items() if own.owns(n)})
        )


def _tables(
    model: ImplicitModel, name: str, affine: Affine, parameters: Sequence[Floats]
) -> dict[int, sparse.csr_array]:
    """Number of a weight that ids are looked up in -> it with the parameters as its values."""
    return {
        i: sparse.csr_array((values, w.indices, w.indptr), w.shape, copy=False)
        for i, (w, values) in enumerate(zip(affine.weights, parameters, strict=False))
        if model.holders.get(id(w)) == name
    }


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
        """Gradients of the parameters of some names, over all uses of rows that they own.

        Args:
            gradients: name -> gradient of every state and output by itself; what follows from later ones is
                added to them. Inputs whose gradients are wanted too are in it.
        """
        names, owner_of, found = self._network.names, self._network.owners, {}
        looked_up = {o: own for o, own in self._network.tables.items() if o in wanted}
        of_tables = {id(t): np.zeros(t.nnz, np.float32) for own in looked_up.values() for t in own.values()}
        readers = {n for owner in looked_up for n in self._network.readers[owner]}
        first = min(
            (i for i, n in enumerate(names) if n in readers or owner_of.get(n, n) in wanted),
            default=len(names),
        )
        if any(i.name in gradients for i in self._network.inputs):
            first = 0
        for name in reversed(names[first:]):
            dz, owner = self._pulled_back(name, gradients[name]), owner_of.get(name, name)
            own = self._network.rows[name].backward(self._values, dz, gradients, of_tables)
            if owner in wanted:
                found[owner] = (
                    [a + b for a, b in zip(found[owner], own, strict=True)] if owner in found else own
                )
        for owner, tables in looked_up.items():
            for number, table in tables.items():
                found[owner][number] += of_tables[id(table)]
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
        """The gradient of z, in the place of that of x where nothing else is needed for it."""
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
