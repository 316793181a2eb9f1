"""A model as plain matrices, for readers that know nothing of this package (docs/csr.md)."""

from sim_compress.artifact.plain.files import csr_file, write_npz
from sim_compress.artifact.plain.matrices import Plain, tied
from sim_compress.artifact.plain.unrolled import unrolled

__all__ = ["Plain", "csr_file", "tied", "unrolled", "write_npz"]
