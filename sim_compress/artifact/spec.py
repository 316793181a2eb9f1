"""The fixed words of format version 3: key, tensor, names of arrays, the dictionary of the metadata."""

from dataclasses import dataclass

KEY = "sim_compress"
VERSION = 3
# The one tensor of the file: digest, size of the text, text, arrays.
TENSOR, DTYPE = "model", "U8"
DIGEST_BYTES, SIZE_BYTES = 32, 4
# Formats of a constant, as numpy names them.
CONSTANTS = {"float32": "<f4", "float64": "<f8"}
DEFAULT_DTYPE = "float32"
INPUT_DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
# What the texts of small networks have in common: deflate refers to it instead of storing it. A change of one
# character makes every file unreadable.
DICTIONARY = (
    b'"kernel":[2,2],"name":"max_pool","pads_begin":[0,0],"pads_end":[0,0],"strides":[2,2]},"maps":[{"after":'
    b'[1,1],"before":[1,1],"dilations":[1,1],"kernel":[3,3],"map":"patches","strides":[1,1]}],"provenance":{"'
    b'alpha":[0.0],"calibration":{"data_free":false,"mirrored":false,"samples":512,"sha256":"","source":"cali'
    b'bration.npz"},"nonzeros":,"rows":{"gap":e-07,"optimal":},"settings":{"allocation":"output","augment":"m'
    b'irror","ignore":[],"kappa":0.99,"matching":"relaxed","nearest_rounds":2,"objective":"perspective","only'
    b'":[],"pattern":"unstructured","solver":"native","states":"regenerated","support":"network","target_spar'
    b'sity":0.5,"targets":{},"values":"float32"},"sparsity":0.,"teacher":{"file":"model.onnx","parameters":,"'
    b'sha256":""},"total_sparsity":0.}}{"blocks":[{"bias":"float32","name":"/Relu","phi":{"name":"relu"},"sha'
    b'pe":[1],"terms":[{"source":0,"weight":{"columns":10,"count":,"exponents":[124,125,123,122,126,121],"ric'
    b'e":1,"unary":1}}]}],"certificate":{"bound":0.0,"kind":"acyclic"},"inputs":[{"name":"input","shape":[1]}'
    b'],"outputs":[{"bias":"float32","name":"'
)


@dataclass(frozen=True)
class Part:
    """The part of M one block or output owns: its rows of A and B, or of C and D."""

    from_block: str
    from_input: str
    index: int

    def matrix(self, term: int, is_input: bool) -> str:
        """Name of a term's matrix."""
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
    """A norm certificate's scaling of one block."""
    return f"certificate.{index}"
