"""Well-posedness: does X = phi(A X + B U) have exactly one solution for every U? The proof, recomputed.

Kinds (SIM section 2d and theorem 2.4; El Ghaoui et al. 2021, theorem 2.8 and corollary 3.1):
acyclic  |A| is nilpotent: blocks in the given order read only earlier blocks. The order is the proof.
norm     |A| s <= kappa s for a positive scaling s and a kappa < 1, with phi non-expansive. s is the proof.
"""

from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import CertificateError
from sim_compress.model import Affine, ImplicitModel, StateBlock, apply_chain
from sim_compress.model.maps import Array, LinearMap, Offset, Scale

Scaling = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Certificate:
    """A checkable proof that the equilibrium exists and is unique.

    Attributes:
        kind: `acyclic` or `norm`.
        bound: an upper bound on the Perron root of |A|: 0 for acyclic, the norm's kappa otherwise.
        order: acyclic: the block names, each reading only those before it.
        scaling: norm: block name -> s, positive, of the shape of the state.
    """

    kind: str
    bound: float
    order: tuple[str, ...] = ()
    scaling: Scaling = field(default_factory=dict, repr=False)


def order_of_evaluation(model: ImplicitModel) -> tuple[str, ...] | None:
    """Block names in an order in which each reads only earlier ones; None where A has a loop."""
    names = {b.name for b in model.blocks}
    graph = {b.name: {t.source for t in b.affine.terms} & names for b in model.blocks}
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError:
        return None


def certify(model: ImplicitModel) -> Certificate:
    """The strongest certificate the stored values have.

    Raises:
        CertificateError: A has a loop and no scaling known here brings its inf-norm below 1.
    """
    order = order_of_evaluation(model)
    if order is not None:
        return Certificate("acyclic", 0.0, order)
    unit = {b.name: np.ones(b.shape) for b in model.blocks}
    bound = norm_bound(model, unit)
    if bound < 1:
        return Certificate("norm", bound, scaling=unit)
    raise CertificateError(
        f"the blocks form a loop and the inf-norm of A is {bound:.3g}, not below 1: "
        "a unique equilibrium is not proven"
    )


def verify(model: ImplicitModel, certificate: Certificate) -> None:
    """Recompute a certificate from the model's stored values.

    Raises:
        CertificateError: the proof does not hold, with the block where it breaks.
    """
    if certificate.kind == "acyclic":
        _verify_order(model, certificate.order)
    elif certificate.kind == "norm":
        bound = norm_bound(model, certificate.scaling)
        if not bound < 1 or not bound <= certificate.bound * (1 + 1e-9) or not certificate.bound < 1:
            raise CertificateError(f"certificate claims norm {certificate.bound:.6g}, recomputed {bound:.6g}")
    else:
        raise CertificateError(f"unknown certificate kind {certificate.kind!r}; known: acyclic, norm")


def _verify_order(model: ImplicitModel, order: tuple[str, ...]) -> None:
    blocks = {b.name: b for b in model.blocks}
    if sorted(order) != sorted(blocks):
        raise CertificateError("the certificate's order does not list every block exactly once")
    seen: set[str] = set()
    for name in order:
        late = {t.source for t in blocks[name].affine.terms if t.source in blocks} - seen
        if late:
            raise CertificateError(f"block {name!r} reads {sorted(late)[0]!r}, which is not before it")
        seen.add(name)


def norm_bound(model: ImplicitModel, scaling: Scaling) -> float:
    """max over rows of (|A| s)_i L / s_i, with L the Lipschitz constant of phi.

    Raises:
        CertificateError: a scaling is missing, of the wrong shape, or not positive and finite.
    """
    for block in model.blocks:
        s = scaling.get(block.name)
        if s is None or s.shape != block.shape or not np.all((s > 0) & np.isfinite(s)):
            raise CertificateError(f"block {block.name!r} has no positive scaling of shape {block.shape}")
    gains = [(state_gain(b, scaling) / scaling[b.name]).max(initial=0.0) for b in model.blocks]
    # np.max and not max: an overflow that gave NaN must not hide behind a later block.
    return float(np.max(gains, initial=0.0))


def state_gain(block: StateBlock, scaling: Scaling) -> NDArray[np.float64]:
    """Bound on |x - x'| per entry of a state when source states differ by at most s; inputs are equal."""
    z = absolute_rows(block.affine, scaling)
    if block.phi.kind.componentwise:
        return block.phi.lipschitz * z
    # A group phi may mix any entries of one row: its inf-norm constant bounds it by the row's largest.
    return np.full(block.shape, block.phi.lipschitz * z.max(initial=0.0))


def absolute_rows(affine: Affine, scaling: Scaling) -> NDArray[np.float64]:
    """|A| s for the rows of one block, of the block's shape; sources without a scaling count as zero."""
    total = np.zeros(affine.shape)
    for term in affine.terms:
        if term.source not in scaling:
            continue
        features = absolute_features(term.maps, scaling[term.source])
        if term.weight is not None:
            rows = abs(term.weight.astype(np.float64)) @ features.reshape(features.shape[0], -1)
            features = np.moveaxis(rows.reshape(affine.rows, *affine.positions), 0, affine.row_axis)
        total += features
    return total


def absolute_features(maps: tuple[LinearMap, ...], s: NDArray[np.float64]) -> Array:
    """|L| s for a chain: every map but Scale has no negative entry, and offsets do not move differences."""
    linear = [Scale(abs(m.factor)) if isinstance(m, Scale) else m for m in maps if not isinstance(m, Offset)]
    return apply_chain(linear, s[..., None])[..., 0]


def substituted_scaling(model: ImplicitModel, kappa: float) -> Scaling:
    """s by backward substitution over the blocks of an acyclic model: |A| s <= kappa s (theorem 2.4).

    s is constant over the positions that share a row, as the constraint on a tied row must hold at all.

    Raises:
        CertificateError: A has a loop.
    """
    order = order_of_evaluation(model)
    if order is None:
        raise CertificateError("backward substitution needs an acyclic model")
    blocks = {b.name: b for b in model.blocks}
    scaling: Scaling = {}
    for name in order:
        gain = state_gain(blocks[name], scaling)
        scaling[name] = np.full(gain.shape, max(gain.max(initial=0.0) / kappa, 1.0))
    return scaling
