"""A matrix as few bytes and back: its support, its values, their exponents (docs/format.md)."""

from sim_compress.artifact.coding.decoder import MatrixClaims, Stored, decode_matrix, matrix_claims
from sim_compress.artifact.coding.encoder import Coded, Size, encode_matrix
from sim_compress.artifact.coding.floats import KINDS, FloatKind, from_bytes, narrowest, to_bytes

__all__ = [
    "KINDS",
    "Coded",
    "FloatKind",
    "MatrixClaims",
    "Size",
    "Stored",
    "decode_matrix",
    "encode_matrix",
    "from_bytes",
    "matrix_claims",
    "narrowest",
    "to_bytes",
]
