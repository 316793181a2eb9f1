"""The fixed words of format version 1: its metadata key, dtypes and tensor names."""

from dataclasses import dataclass

KEY = "sim_compress"
VERSION = 1
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
        """Name that the tensors of a term's matrix start with."""
        return f"{self.from_input if is_input else self.from_block}.{self.index}.{term}"

    @property
    def bias(self) -> str:
        """Name of the column that meets the constant input 1."""
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
