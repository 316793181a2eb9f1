"""Every phi by name, one module for each family."""

from sim_compress.activations import (
    elementary,
    normalising,
    pooling,
    products,
    rectifying,
    reducing,
    saturating,
    several,
)
from sim_compress.activations.kind import Kind

IDENTITY = "identity"

KINDS: dict[str, Kind] = {
    IDENTITY: Kind("z", lambda z, _: z),
    **rectifying.KINDS,
    **saturating.KINDS,
    **elementary.KINDS,
    **pooling.KINDS,
    **reducing.KINDS,
    **normalising.KINDS,
    **several.KINDS,
    **products.KINDS,
}
