"""Tensors that break a rule are refused."""

from pathlib import Path

import numpy as np

from .breaking import (
    Change,
    Rule,
    cases,
    cut,
    field,
    new_tensor,
    no_field,
    no_tensor,
    refusal_after,
    tensor,
    with_entry,
)
from .crafting import Crafted
from .models import feedforward_model, looped_model


def far_nonzero(stored: np.ndarray) -> np.ndarray:
    """A bitmap whose last one stands after the last entry."""
    return np.append(stored[:-1], np.array([0b10101, 0, 0x80], np.uint8))


def far_gap(crafted: Crafted) -> None:
    """One nonzero, 1.0, after a gap of 40 * 2**31."""
    one = np.array([1], "<f4").view(np.uint8)
    unary = np.array([0, 0, 0, 0, 0, 1], np.uint8)
    crafted.metadata["blocks"][4]["terms"][0]["weight"] = {"columns": 8, "count": 1, "rice": 31}
    crafted.tensors["A.4.0"] = np.concatenate([np.zeros(4, np.uint8), one, unary])


# In the feed-forward model A.3.0 (6, 500) has 58 nonzeros: 37 bytes of low bits, 5 each, then 174 of signs
# and mantissas, then unary code. A.4.0 (5, 8) has 17 whole values and nothing before them, B.3.1 (6, 55)
# stores all its entries; maps.0 is (8, 1, 1).
WHOLE = "blocks.4.terms.0.weight"
TENSORS: list[Rule] = [
    ("no bias", no_tensor("B.0.bias"), "tensor 'B.0.bias': expected in the file"),
    ("bias too short", tensor("B.0.bias", cut), "B.0.bias: expected shape [32], found [31]"),
    ("bias of float32", tensor("B.0.bias", lambda v: v.view("<f4")), "B.0.bias: expected U8, found F32"),
    (
        "infinite bias",
        tensor("B.0.bias", lambda v: with_entry(2, np.inf)(v.view("<f4")).view(np.uint8)),
        "B.0.bias: expected finite values, found inf",
    ),
    ("unclaimed tensor", new_tensor("A.9.9", np.ones(3)), "'A.9.9': nothing in the metadata"),
    ("unclaimed bias", no_field("blocks.0", "bias"), "'B.0.bias': nothing in the metadata"),
    ("no matrix", no_tensor("B.3.1"), "tensor 'B.3.1': expected in the file, found none"),
    ("matrix of float32", tensor("A.3.0", np.float32), "A.3.0: expected U8, found F32"),
    ("matrix of two axes", tensor("A.3.0", lambda v: v[None]), "A.3.0: expected one axis of 211 bytes"),
    ("matrix too short", tensor("A.3.0", lambda v: v[:200]), "expected one axis of 211 bytes or more"),
    ("unary code too short", tensor("A.3.0", cut), "A.3.0: expected 116 numbers in unary, found 114"),
    ("a byte too many", tensor("A.3.0", lambda v: np.append(v, np.uint8(0))), "end in byte 34"),
    ("a number too many", tensor("A.3.0", lambda v: np.append(v, np.uint8(1))), "found 117"),
    ("bits after the low bits", tensor("A.3.0", with_entry(36, 255)), "A.3.0: expected zeros after bit 290"),
    ("value zero", tensor("A.4.0", with_entry(slice(4), 0)), "A.4.0: expected nonzeros, found 0 at 0"),
    (
        "value not finite",
        tensor("A.4.0", with_entry(slice(4), 255)),
        "A.4.0: expected finite values, found nan",
    ),
    ("more nonzeros than stored", field(f"{WHOLE}.count", 18), "A.4.0: expected 18 numbers in unary"),
    ("nonzero outside", tensor("A.4.0", far_nonzero), "expected all nonzeros among 40 entries"),
    ("gap beyond the matrix", far_gap, "expected all nonzeros among 40 entries"),
    ("constant not finite", tensor("maps.0", with_entry(0, np.nan)), "maps.0: expected finite"),
    ("constant of integers", tensor("maps.0", np.int64), "maps.0: expected F32 or F64, found I64"),
]
LOOPS: list[Rule] = [
    ("norm with an order", field("certificate.order", [0, 1]), "no order in a norm certificate"),
    ("bound of 1", field("certificate.bound", 1.0), "below 1"),
    ("bound too small", field("certificate.bound", 0.01), "claims a bound of 0.01, recomputed"),
    ("scaling zero", tensor("certificate.0", np.zeros_like), "no positive scaling"),
    ("scaling too weak", tensor("certificate.0", lambda v: v * 1e9), "recomputed"),
    ("scaling overflows", tensor("certificate.0", lambda v: v * 1e308), "recomputed"),
    ("no scaling", no_tensor("certificate.0"), "tensor 'certificate.0': expected in the file"),
    (
        "scaling of another shape",
        new_tensor("certificate.0", np.ones((3, 3))),
        "axes of 1 or those of [4, 3]",
    ),
    ("scaling of another rank", new_tensor("certificate.0", np.ones(4)), "axes of 1 or those of [4, 3]"),
    ("scaling of float32", tensor("certificate.0", np.float32), "certificate.0: expected F64, found F32"),
]


@cases(TENSORS)
def test_a_wrong_tensor_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, feedforward_model(), tmp_path)


@cases(LOOPS)
def test_a_wrong_norm_certificate_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, looped_model(), tmp_path)
