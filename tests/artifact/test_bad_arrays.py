"""Arrays that break a rule are refused."""

from pathlib import Path

import numpy as np

from .breaking import (
    Change,
    Rule,
    array,
    cases,
    cut,
    field,
    no_array,
    no_field,
    refusal_after,
    with_entry,
)
from .crafting import Crafted
from .models import feedforward_model, looped_model


def far_nonzero(crafted: Crafted) -> None:
    """A bitmap whose last one stands after the last entry."""
    stored = crafted.arrays["A.4.0"]
    crafted.arrays["A.4.0"] = np.append(stored[:-1], np.array([0b10101, 0, 0x80], np.uint8))
    crafted.metadata["blocks"][4]["terms"][0]["weight"]["unary"] += 2


def far_gap(crafted: Crafted) -> None:
    """One nonzero, 1.0, after a gap of 40 * 2**31."""
    one = np.array([1], "<f4").view(np.uint8)
    unary = np.array([0, 0, 0, 0, 0, 1], np.uint8)
    weight = {"columns": 8, "count": 1, "rice": 31, "unary": 6}
    crafted.metadata["blocks"][4]["terms"][0]["weight"] = weight
    crafted.arrays["A.4.0"] = np.concatenate([np.zeros(4, np.uint8), one, unary])


def longer(byte: int) -> Change:
    """One byte more of unary code behind A.3.0."""

    def change(crafted: Crafted) -> None:
        crafted.arrays["A.3.0"] = np.append(crafted.arrays["A.3.0"], np.uint8(byte))
        crafted.metadata["blocks"][3]["terms"][0]["weight"]["unary"] += 1

    return change


def shorter(crafted: Crafted) -> None:
    """One byte less of it."""
    crafted.arrays["A.3.0"] = crafted.arrays["A.3.0"][:-1]
    crafted.metadata["blocks"][3]["terms"][0]["weight"]["unary"] -= 1


# In the feed-forward model A.3.0 (6, 500) has 58 nonzeros: 37 bytes of low bits, 5 each, then 174 of signs
# and mantissas, then unary code. A.4.0 (5, 8) has 17 whole values and nothing before them, B.3.1 (6, 55)
# stores all its entries. D.2.bias of 24 bytes is the last of the rows, maps.0 (8, 1, 1) the first constant.
FACTOR = "blocks.2.terms.1.maps.0.factor"
WHOLE = "blocks.4.terms.0.weight"
ARRAYS: list[Rule] = [
    ("rows end early", array("D.2.bias", cut), "D.2.bias: expected 24 bytes, found 23"),
    (
        "rows go on",
        array("D.2.bias", lambda v: np.append(v, v[:2])),
        "the rows to end with the last array",
    ),
    ("no bias", no_array("D.2.bias"), "D.2.bias: expected 24 bytes, found 0"),
    (
        "unclaimed bias",
        no_field("outputs.2", "bias"),
        "rows to end with the last array, found 24",
    ),
    ("constants end early", array("maps.3", cut), "maps[1].matrix: expected 2 bytes, found 1"),
    ("constants go on", array("maps.3", lambda v: np.append(v, v)), "constants to end with the last array"),
    ("constants behind the end", field("constants", 10**6), "constants: expected a whole number in 0.."),
    ("constants begin early", field("constants", 40), "B.0.0: expected 129 bytes, found"),
    (
        "infinite bias",
        array("B.0.bias", lambda v: with_entry(2, np.inf)(v.view("<f4")).view(np.uint8)),
        "B.0.bias: expected finite values, found inf",
    ),
    (
        "unary code beyond the file",
        field(f"{WHOLE}.unary", 10**6),
        "A.4.0: expected 1000000 bytes, found",
    ),
    ("unary code beyond 64 bits", field(f"{WHOLE}.unary", 2**63), "unary: expected a whole number in 0.."),
    ("unary code too short", shorter, "A.3.0: expected 116 numbers in unary, found 114"),
    ("a byte too many", longer(0), "end in byte 34"),
    ("a number too many", longer(1), "found 117"),
    ("no unary code", no_field(WHOLE, "unary"), "A.4.0: expected 17 numbers in unary, found 0"),
    ("bits after the low bits", array("A.3.0", with_entry(36, 255)), "A.3.0: expected zeros after bit 290"),
    ("value zero", array("A.4.0", with_entry(slice(4), 0)), "A.4.0: expected nonzeros, found 0 at 0"),
    (
        "value not finite",
        array("A.4.0", with_entry(slice(4), 255)),
        "A.4.0: expected finite values, found nan",
    ),
    ("nonzero outside", far_nonzero, "expected all nonzeros among 40 entries"),
    ("gap beyond the matrix", far_gap, "expected all nonzeros among 40 entries"),
    ("constant not finite", array("maps.0", with_entry(0, np.nan)), "factor: expected finite values"),
    ("constant of another format", field(f"{FACTOR}.format", "int64"), "expected one of float32, float64"),
    ("constant of no format", no_field(FACTOR, "format"), "factor: expected the key 'format'"),
    ("constant too large", field(f"{FACTOR}.shape", [2**16, 2**16]), "2147483647 elements in all"),
    ("constant larger than the file", field(f"{FACTOR}.shape", [2**20]), "factor: expected 4194304 bytes"),
    ("constant of no axes", field(f"{FACTOR}.shape", []), "shape: expected one axis or more"),
    (
        "constant with an empty axis",
        field(f"{FACTOR}.shape", [0]),
        "shape[0]: expected a whole number",
    ),
]
LOOPS: list[Rule] = [
    ("norm with an order", field("certificate.order", [0, 1]), "certificate: unknown key 'order'"),
    ("bound of 1", field("certificate.bound", 1.0), "below 1"),
    ("bound too small", field("certificate.bound", 0.01), "claims a bound of 0.01, recomputed"),
    ("scaling zero", array("certificate.0", np.zeros_like), "no positive scaling"),
    ("scaling too weak", array("certificate.0", lambda v: v * 1e9), "recomputed"),
    ("scaling overflows", array("certificate.0", lambda v: v * 1e308), "recomputed"),
    ("scaling not finite", array("certificate.0", lambda v: v * np.inf), "certificate.0: expected finite"),
    ("no scaling", no_array("certificate.1"), "certificate.1: expected 8 bytes, found 0"),
    ("no scalings", no_field("certificate", "scalings"), "certificate: expected the key 'scalings'"),
    ("one scaling", field("certificate.scalings", [[1, 1]]), "scalings: expected 2 shapes, one for every"),
    (
        "scaling of another shape",
        field("certificate.scalings.0", [3, 3]),
        "scalings[0]: expected axes of 1 or those of [4, 3]",
    ),
    ("scaling of another rank", field("certificate.scalings.0", [4]), "axes of 1 or those of [4, 3]"),
]


@cases(ARRAYS)
def test_a_wrong_array_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, feedforward_model(), tmp_path)


@cases(LOOPS)
def test_a_wrong_norm_certificate_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, looped_model(), tmp_path)
