"""The artifact: one .safetensors file that holds an implicit model (docs/format.md)."""

from sim_compress.artifact.container import Data, digest
from sim_compress.artifact.decoder import Artifact
from sim_compress.artifact.fields import JSON
from sim_compress.artifact.layouts import encode
from sim_compress.artifact.listing import PARTS, Listed, listing
from sim_compress.artifact.plain import Plain, csr_file, tied, unrolled, write_npz
from sim_compress.artifact.reader import Source, read
from sim_compress.artifact.sizes import Sizes, sizes
from sim_compress.artifact.writer import readable, replace_files, write

__all__ = [
    "JSON",
    "PARTS",
    "Artifact",
    "Data",
    "Listed",
    "Plain",
    "Sizes",
    "Source",
    "csr_file",
    "digest",
    "encode",
    "listing",
    "read",
    "readable",
    "replace_files",
    "sizes",
    "tied",
    "unrolled",
    "write",
    "write_npz",
]
