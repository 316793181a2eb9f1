"""phi by name: the function, its inf-norm Lipschitz constant and its properties.

A phi acts on an array of shape (*z_shape, samples). Most are componentwise; pooling, normalisation and
products act on groups of pre-activations and may give a state of another shape.
"""

from sim_compress.activations.activation import Activation
from sim_compress.activations.families import IDENTITY, KINDS
from sim_compress.activations.held import check_held
from sim_compress.activations.kind import Array, Kind, Shape
from sim_compress.activations.parts import split

__all__ = ["IDENTITY", "KINDS", "Activation", "Array", "Kind", "Shape", "check_held", "split"]
