"""The artifact: one .safetensors file that holds an implicit model (docs/format.md)."""

from sim_compress.artifact.decoder import Artifact
from sim_compress.artifact.encoder import encode
from sim_compress.artifact.fields import JSON
from sim_compress.artifact.reader import Source, read
from sim_compress.artifact.sizes import Sizes, sizes
from sim_compress.artifact.writer import readable, replace_files, write

__all__ = [
    "JSON",
    "Artifact",
    "Sizes",
    "Source",
    "encode",
    "read",
    "readable",
    "replace_files",
    "sizes",
    "write",
]
