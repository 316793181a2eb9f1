"""The fixed words of format version 2: its metadata key, dtypes and tensor names."""

from dataclasses import dataclass

KEY = "sim_compress"
VERSION = 2
# The tensor with the compressed JSON.
METADATA = "metadata"
# What a tensor may hold, by its name in safetensors.
DTYPES = {"F32": "<f4", "F64": "<f8", "U8": "u1"}
DEFAULT_DTYPE = "float32"
INPUT_DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


@dataclass(frozen=True)
class Part:
    """The part of M one block or output owns: its rows of A and B, or of C and D."""

    from_block: str
    from_input: str
    index: int

    def matrix(self, term: int, is_input: bool) -> str:
        """Name of the tensor with a term's matrix."""
        return f"{self.from_input if is_input else self.from_block}.{self.index}.{term}"

    @property
    def bias(self) -> str:
        """Name of the tensor with the column that meets the constant input 1."""
        return f"{self.from_input}.{self.index}.bias"


def block_part(index: int) -> Part:
    """Rows of the equilibrium equation."""
    return Part("A", "B", index)


def output_part(index: int) -> Part:
    """Rows of the prediction equation."""
    return Part("C", "D", index)


def scaling_name(index: int) -> str:
    """Tensor with a norm certificate's scaling of one block."""
    return f"certificate.{index}"
