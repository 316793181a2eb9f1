"""Format version 3, which is read and no longer written: one tensor of digest, deflated metadata and arrays.

The rows of M stand one after the other in the order of the metadata, then the constants. The metadata is that
of version 4, but for numbers in place of the names of sources and tensors.
"""

from sim_compress.artifact.format3.container import opened

__all__ = ["opened"]
