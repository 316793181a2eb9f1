"""Size limits: what a file may claim before anything of that size is made."""

import math
from collections.abc import Iterable, Sequence

from sim_compress.activations import Activation
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import ImplicitModel, LinearMap, Pad, Patches, Shape

MAX_RANK = 8
MAX_ELEMENTS = 2**31 - 1
MAX_TOTAL = 2**33
# With the bytes of the file: the most bytes of metadata, and the most rows of matrices.
MAX_TEXT = 2**20
MAX_ROWS = 2**20
# With ELEMENTS_PER_BYTE: the most elements of all arrays that a sample is evaluated by. Few weights at many
# positions come nearest to it: 16 channels at 1024 x 1024 pixels with 1 % of the weights left have about
# 2^18 elements a byte.
ELEMENTS = 2**24
ELEMENTS_PER_BYTE = 2**20
# With the bytes of the file: the most nonzeros of all uses of matrices behind their first. A network of 1000
# layers on the rows of one has about 500 for each byte.
USED_AGAIN = 2**24
USED_AGAIN_PER_BYTE = 2**10
# A norm certificate is recomputed on arrays of the claimed shapes: these two keep it near the file's size.
PROOF_ELEMENTS = 2**24
PROOF_ELEMENTS_PER_BYTE = 256


class refusing:  # noqa: N801
    """Turn the error of a shape or number that does not fit into an ArtifactError that names the place.

    A class, as a generator takes four times as long and a file is read through hundreds of these.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError | InputError):
            raise ArtifactError(f"{self._place}: {error}") from error


def sane(shape: Shape) -> Shape:
    """The shape itself; ValueError where its rank, an axis or its size is out of bounds."""
    if len(shape) > MAX_RANK or min(shape, default=1) < 1 or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(
            f"shape {shape} is not of at most {MAX_RANK} axes of 1 or more and {MAX_ELEMENTS} elements in all"
        )
    return shape


def chain_shapes(maps: Sequence[LinearMap], shape: Shape) -> list[Shape]:
    """Shapes of all arrays from the source to the features; ValueError where one is not sane."""
    shapes = [sane(shape)]
    for step in maps:
        if isinstance(step, Patches | Pad):
            shapes.append(padded(shape, step.before, step.after))
        if isinstance(step, Patches) and not step.kernel:
            raise ValueError("patches of no axes")
        shape = sane(step.out_shape(shape))
        shapes.append(shape)
    return shapes


def state_shapes(phi: Activation, shape: Shape) -> list[Shape]:
    """Shapes of the arrays behind z up to phi(z); ValueError where one does not fit or is not sane.

    Windows, which a kernel may lay out entry by entry, are counted, but need not be sane.
    """
    a, shapes = phi.attributes, []
    if "pads_begin" in a:
        shapes.append(padded(shape, a["pads_begin"], a["pads_end"]))
    state = sane(phi.state_shape(sane(shape)))
    if windows := a.get("kernel", (a["size"],) if "size" in a else ()):
        shapes.append((*state, *windows))
    return [*shapes, state]


def padded(shape: Shape, before: Shape, after: Shape) -> Shape:
    """Shape with the last axes padded; ValueError where it is not sane."""
    if not len(before) == len(after) <= len(shape):
        raise ValueError(f"padding {before}, {after} does not fit {shape}")
    lead = len(shape) - len(before)
    grown = (s + b + a for s, b, a in zip(shape[lead:], before, after, strict=True))
    return sane((*shape[:lead], *grown))


def check_total(shapes: Iterable[Shape]) -> None:
    """ValueError where the states of one sample together are out of bounds."""
    total = sum(math.prod(shape) for shape in shapes)
    if total > MAX_TOTAL:
        raise ValueError(f"expected at most {MAX_TOTAL} elements a sample in all, found {total}")


def check_proof(model: ImplicitModel, size: int) -> None:
    """ValueError where recomputing a norm certificate takes far more memory than the file's `size` bytes."""
    states = {b.name for b in model.blocks}
    elements = sum(math.prod(b.affine.shape) + math.prod(b.shape) for b in model.blocks)
    for block in model.blocks:
        for term in block.affine.terms:
            if term.source in states:
                chain = chain_shapes(term.maps, model.shapes[term.source])
                elements += sum(math.prod(shape) for shape in chain)
    most = PROOF_ELEMENTS + PROOF_ELEMENTS_PER_BYTE * size
    if elements > most:
        raise ValueError(f"expected at most {most} elements to recompute the norm of A, found {elements}")
