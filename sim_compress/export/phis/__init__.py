"""Every phi as standard nodes, one exporter for each name in KINDS."""

from sim_compress.export.phis import componentwise, groups, several
from sim_compress.export.phis.several import parts_of

# phi -> function of (graph, tensor (N, *z_shape), attributes, z_shape)
PHI_NODES = {**componentwise.NODES, **groups.NODES}
# phi of several tensors -> function of (graph, tensors (N, *part), attributes, parts)
PARTS_NODES = several.NODES

__all__ = ["PARTS_NODES", "PHI_NODES", "parts_of"]
