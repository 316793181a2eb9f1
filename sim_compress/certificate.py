"""Well-posedness: does X = phi(A X + B U) have exactly one solution for every U? The proof, recomputed.

Kinds (SIM section 2d and theorem 2.4, after El Ghaoui et al. 2021), with phi's Lipschitz constant in |A|:
acyclic  |A| is nilpotent: blocks in the given order read only earlier blocks. The order is the proof.
norm     |A| s <= kappa s with kappa < 1, in coordinates scaled by a positive s known beforehand: ones, or
         the scaling in which the rows were solved under the kappa constraint. s is the proof.
perron   the same inequality for an s found from the values, which proves that the Perron root of |A| is
         below 1 (Collatz-Wielandt). s is the proof.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import CertificateError
from sim_compress.model import (
    Affine,
    AlongAxis,
    ImplicitModel,
    LinearMap,
    Lookup,
    Offset,
    Scale,
    StateBlock,
    apply_chain,
)
from sim_compress.model.maps import Array, Shape

Scaling = dict[str, NDArray[np.float64]]
KINDS = ("acyclic", "norm", "perron")
# Beyond this the Neumann series of |A| counts as divergent; a root of 1 - 1e-9 would reach it.
LARGEST_PERRON = 1e9
PERRON_STEPS = 100_000
# Steps of the Neumann series behind which the rest is bounded.
GAIN_STEPS = 200
# Products of two scalings still have a place in float64.
LARGEST_SCALING = 1e150
# Head-rooms tried for a loop, in order, where the asked one is more than its Perron root leaves.
ROOMS = (1.5, 1.2, 1.1, 1.03)


@dataclass(frozen=True)
class Certificate:
    """A checkable proof that the equilibrium exists and is unique.

    Attributes:
        kind: one of KINDS.
        bound: an upper bound on the Perron root of |A|: 0 for acyclic, max (|A| s)_i / s_i otherwise.
        order: acyclic: the block names, each reading only those before it.
        scaling: norm and perron: block name -> s, positive, of the shape of the state.
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


def certify(model: ImplicitModel, scaling: Scaling | None = None) -> Certificate:
    """The first of the certificates acyclic, norm, perron that the stored values have.

    Args:
        model: the implicit model.
        scaling: coordinates in which the norm may be below 1; ones if not given.

    Raises:
        CertificateError: the Perron root of |A| is 1 or more, or too close to 1 to tell.
    """
    order = order_of_evaluation(model)
    if order is not None:
        return Certificate("acyclic", 0.0, order)
    check_steepness(model)
    scaling = scaling or {b.name: np.ones(b.shape) for b in model.blocks}
    bound = norm_bound(model, scaling)
    if bound < 1:
        return Certificate("norm", bound, scaling=scaling)
    perron = perron_scaling(model)
    return Certificate("perron", norm_bound(model, perron), scaling=perron)


def check_steepness(model: ImplicitModel) -> None:
    """Only an order of evaluation proves anything of a phi without a Lipschitz constant.

    Raises:
        CertificateError: a block that reads states has none.
    """
    names = {b.name for b in model.blocks}
    for block in model.blocks:
        reads = any(t.source in names for t in block.affine.terms)
        if reads and not np.isfinite(block.phi.lipschitz(block.affine.shape)):
            raise CertificateError(
                f"the blocks form a loop and phi = {block.phi.name} of block {block.name!r} has no Lipschitz "
                "constant: no kappa proves a unique equilibrium. Keep the support of the network"
            )


def perron_scaling(model: ImplicitModel, bound: float = 1.0) -> Scaling:
    """A positive s with |A| s <= bound s, from the Neumann series s = 1 + |A|/bound 1 + (|A|/bound)^2 1 + ...

    The series converges exactly where the Perron root of |A| is below the bound; it stops as soon as s is
    the proof. At a bound of 1 the inequality is strict.

    Raises:
        CertificateError: it diverges, or does not settle in PERRON_STEPS.
    """
    s = {b.name: np.ones(b.shape) for b in model.blocks}
    for _ in range(PERRON_STEPS):
        reached = norm_bound(model, s)
        if reached <= bound and reached < 1:
            return s
        s = {b.name: 1 + state_gain(b, s) / bound for b in model.blocks}
        if not max(float(v.max(initial=0.0)) for v in s.values()) < LARGEST_PERRON:
            break
    raise CertificateError(
        f"the blocks form a loop and the Perron root of |A| is not below {bound:g}: a unique equilibrium is "
        "not proven. Compress with a smaller kappa"
    )


def row_scaling(model: ImplicitModel, kappa: float, headroom: float) -> Scaling:
    """The scaling in which compressed rows keep kappa, chosen so that the model's own rows have room.

    Args:
        model: the teacher's.
        kappa: bound on the norm of the compressed A.
        headroom: rows of an acyclic model may grow to this multiple of its largest row norms before kappa
            binds; those of a loop as close to it as the Perron root of |A| leaves room.

    Raises:
        CertificateError: a loop's Perron root is not below kappa.
    """
    if order_of_evaluation(model) is not None:
        return substituted_scaling(model, kappa / headroom)
    check_steepness(model)
    for room in (headroom, *ROOMS):
        with suppress(CertificateError):
            return perron_scaling(model, kappa / room)
    return perron_scaling(model, kappa)


def row_bounds(model: ImplicitModel, scaling: Scaling, kappa: float) -> Scaling:
    """What |A| s may be for every pre-activation, of the shape of the state: kappa s / L, L that of phi.

    Blocks without a scaling have no bound, nor have those whose phi is constant.
    """
    slopes = {b.name: b.phi.lipschitz(b.affine.shape) for b in model.blocks}
    return {name: kappa * s / slopes[name] for name, s in scaling.items() if slopes[name] > 0}


def verify(model: ImplicitModel, certificate: Certificate) -> None:
    """Recompute a certificate from the model's stored values.

    Raises:
        CertificateError: the proof does not hold, with the block where it breaks.
    """
    if certificate.kind == "acyclic":
        _verify_order(model, certificate.order)
    elif certificate.kind in KINDS:
        bound = norm_bound(model, certificate.scaling)
        if not bound < 1 or not bound <= certificate.bound * (1 + 1e-9) or not certificate.bound < 1:
            raise CertificateError(
                f"{certificate.kind} certificate claims a bound of {certificate.bound:.6g}, "
                f"recomputed {bound:.6g}"
            )
    else:
        raise CertificateError(f"unknown certificate kind {certificate.kind!r}; known: {', '.join(KINDS)}")


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
    if not block.phi.kind.componentwise:
        # A group phi may mix any entries of one row: its inf-norm constant bounds it by the row's largest.
        z = np.full(block.shape, z.max(initial=0.0))
    # Where no state is read there is nothing to amplify, by however steep a phi.
    return np.multiply(z, block.phi.lipschitz(block.affine.shape), out=np.zeros_like(z), where=z != 0)


def absolute_rows(affine: Affine, scaling: Scaling) -> NDArray[np.float64]:
    """|A| s for the rows of one block, of the block's shape; sources without a scaling count as zero."""
    total = np.zeros(affine.shape)
    for term in affine.terms:
        if term.source not in scaling:
            continue
        features = absolute_features(term.maps, scaling[term.source])
        if term.weight is not None:
            rows = abs(term.weight.astype(np.float64)) @ features.reshape(features.shape[0], -1)
            features = affine.placed(rows)
        total += features
    return total


def absolute_features(maps: tuple[LinearMap, ...], s: NDArray[np.float64]) -> Array:
    """A bound on |L| s for a chain, map by map; offsets do not move differences."""
    linear = [absolute_map(m) for m in maps if not isinstance(m, Offset)]
    return apply_chain(linear, s[..., None])[..., 0]


@dataclass(frozen=True, eq=False)
class _Jump:
    """A lookup as a bound: ids that differ at all may give any two rows."""

    step: Lookup

    def apply(self, x: Array) -> Array:
        """Infinite at every entry of the rows."""
        return np.full((*self.step.out_shape(x.shape[:-1]), x.shape[-1]), np.inf)

    def out_shape(self, shape: Shape) -> Shape:
        return self.step.out_shape(shape)


def absolute_map(step: LinearMap) -> LinearMap:
    """The map with the absolute entries of its matrix."""
    match step:
        case Scale():
            return Scale(abs(step.factor))
        case AlongAxis():
            return AlongAxis(step.axis, abs(step.matrix))
        case Lookup():
            return _Jump(step)
    return step


def output_bound(model: ImplicitModel) -> float:
    """A Lipschitz constant of the outputs for the inputs, both in the inf-norm, of phi's own constant in |A|:

        ||  |C| (I - |A|)^-1 |B| + |D|  ||

    Block by block: s_i bounds what a change of all inputs by 1 does to a state. Infinite where a phi has no
    constant, or ids are looked up.

    Raises:
        CertificateError: a loop's Perron root is not below 1.
    """
    s = {i.name: np.ones(i.shape) for i in model.inputs}
    order, blocks = order_of_evaluation(model), {b.name: b for b in model.blocks}
    with np.errstate(invalid="ignore"):
        for name in order or ():
            s[name] = state_gain(blocks[name], s)
        if order is None:
            s |= _looped_gains(model, s)
        found = [absolute_rows(o.affine, s).max(initial=0.0) for o in model.outputs]
    # A number that is none comes of an infinite gain times a zero.
    return float(np.nan_to_num(np.max(found, initial=0.0), nan=np.inf, posinf=np.inf))


def _looped_gains(model: ImplicitModel, inputs: Scaling) -> Scaling:
    """s of all blocks with F(s) <= s, F(s) = |A| s + |B| 1, from a few steps of F and the certificate's p.

    F adds at most k t p where t p is added to s: s + t p serves where F(s) <= s + (1 - k) t p.
    """
    certificate = certify(model)
    p = certificate.scaling
    s = before = {n: np.zeros(v.shape) for n, v in p.items()}
    for _ in range(GAIN_STEPS):
        before = s
        s = {b.name: state_gain(b, inputs | before) for b in model.blocks}
    rise = max(float(((s[n] - before[n]) / p[n]).max(initial=0.0)) for n in p)
    # The last step of F adds k times what the one before did at most.
    t = rise / (1 - certificate.bound)
    return {n: s[n] + t * p[n] for n in p}


def substituted_scaling(model: ImplicitModel, kappa: float) -> Scaling:
    """s by backward substitution over the blocks of an acyclic model: |A| s <= kappa s (theorem 2.4).

    s is constant over the positions that share a row, as the constraint on a tied row must hold at all.

    Blocks behind which s would not be finite, as phi has no Lipschitz constant or s leaves the range of
    numbers, have none: the order proves the model well-posed without a bound on their rows, and for the
    blocks behind them substitution starts anew, as behind an input.

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
        s = max(gain.max(initial=0.0) / kappa, 1.0)
        if s < LARGEST_SCALING:
            scaling[name] = np.full(gain.shape, s)
    return scaling
