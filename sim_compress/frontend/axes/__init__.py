"""Where the samples of a batch are in every tensor of a network file, and the network for one sample.

An operator says once, by a rule of `rules`, what it does to the axes of its inputs. `forward` takes a graph
through these rules, node by node, and writes it anew for one sample and with the samples first.
"""

from sim_compress.frontend.axes.forward import NotPlaced, Placement, placed
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import Rule

__all__ = ["NotPlaced", "Placed", "Placement", "Rule", "placed"]
