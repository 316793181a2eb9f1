"""The fixed words of format version 4: keys, and names of tensors."""

from dataclasses import dataclass

KEY = "sim_compress"
# The key of a file of plain matrices, which is no artifact.
PLAIN_KEY = "sim_compress_csr"
VERSION = 4
DIGEST = "digest"
NEEDS = "needs"
NO_DIGEST = "0" * 64
# The deflated metadata, and the biases of all rows, where they share a tensor.
METADATA, BIAS = "metadata", "bias"
# The window that the stream of the metadata begins with: what that of most models has. It takes 260 bytes off
# a file, 1 % of the shipped MLP at 90 % sparsity.
WINDOW = (
    b'"bound":0.0,"kind":"acyclic"},"inputs":[{"data_free":false,"mirrored":false,"settings":{"allocation":"'
    b'output","augment":"mirror","ignore":[],"kappa":0.99,"matching":"relaxed","nearest_rounds":null,"object'
    b'ive":"perspective","only":[],"pattern":"unstructured","solver":"native","states":"regenerated","suppor'
    b't":"network","target_sparsity":0.,"targets":{},"tune":null,"values":{"blocks":[{"bias":true,"name":"re'
    b'lu","phi":{"name":"relu"},"shape":[16],"terms":[{"source":"x","weight":{"exponent":126,"nonzeros":'
)
# The words of NEEDS that this version knows: rows that several blocks name, and tables that are matrices.
SHARED, TABLES = "shared", "tables"
WORDS = (SHARED, TABLES)
# The field of a lookup that holds its rows.
TABLE = "table"
# safetensors' names of the tensors that hold bytes, and the formats of constants, as numpy names them.
BYTES = "U8"
CONSTANTS = {"F32": "<f4", "F64": "<f8"}
ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1}
DEFAULT_DTYPE = "float32"
INPUT_DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


@dataclass(frozen=True)
class Part:
    """The part of M one block or output owns: its rows of A and B, or of C and D.

    Blocks are numbered from 0, and outputs go on behind the last of them.
    """

    from_block: str
    from_input: str
    index: int

    def matrix(self, term: int, is_input: bool) -> str:
        """Name of a term's matrix."""
        return f"{self.from_input if is_input else self.from_block}.{self.index}.{term}"

    @property
    def bias(self) -> str:
        """Name of the column of B or D that meets the constant input 1."""
        return f"{BIAS}.{self.index}"


def block_part(index: int) -> Part:
    """Rows of the equilibrium equation."""
    return Part("A", "B", index)


def output_part(index: int) -> Part:
    """Rows of the prediction equation; `index` counts the blocks too."""
    return Part("C", "D", index)


def phi_name(index: int) -> str:
    """What the names of a phi's arrays begin with."""
    return f"phi.{index}"


def map_name(term: str, number: int, field: str) -> str:
    """An array of a map of a term, whose matrix has or would have the given name."""
    return f"{term}.maps.{number}.{field}"


def scaling_name(index: int) -> str:
    """A norm certificate's scaling of one block."""
    return f"scaling.{index}"
