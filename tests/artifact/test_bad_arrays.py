"""Tensors that break a rule are refused."""

from pathlib import Path

import numpy as np

from sim_compress.artifact.coding.deflate import deflated
from sim_compress.artifact.coding.packing import pack

from .breaking import (
    Change,
    Rule,
    added,
    array,
    both,
    cases,
    cut,
    field,
    no_array,
    no_field,
    refusal_after,
    with_entry,
)
from .crafting import Crafted, tensor
from .models import feedforward_model, looped_model

# In the feed-forward model A.3.0 (6, 500) has 58 nonzeros: a support of 37 bytes of low bits, 5 each, and
# unary code, values of 21 bits. B.3.1 (6, 55) stores all its entries, C.6.1 (2, 6) whole values.
SPARSE = "blocks.3.terms.0.weight"
NO_BYTES = np.zeros(0, np.uint8)


def stream(data: bytes) -> np.ndarray:
    """A deflate stream of these bytes."""
    return np.frombuffer(deflated(data), np.uint8)


def bitmap(ones: int, size: int = 5) -> Change:
    """A bitmap of A.4.0, 17 nonzeros of 5 x 8 entries, in the place of its Rice code."""
    bits = np.zeros(8 * size, np.uint8)
    bits[:ones] = 1
    data = stream(np.packbits(bits, bitorder="little").tobytes())
    return both(no_field("blocks.4.terms.0.weight", "rice"), array("A.4.0.support", lambda _: data))


def far_gap(crafted: Crafted) -> None:
    """One nonzero, 1.0, after a gap of 40 * 2**31."""
    weight = {"shape": [5, 8], "nonzeros": 1, "rice": 31}
    crafted.metadata["blocks"][4]["terms"][0]["weight"] = weight
    crafted.tensors["A.4.0.values"] = tensor(np.ones(1, np.float32))
    crafted.tensors["A.4.0.support"] = tensor(np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], np.uint8))
    del crafted.tensors["A.4.0.exponents"]


def far_nonzero(crafted: Crafted) -> None:
    """A Rice code whose last nonzero stands after the last entry."""
    ones = np.zeros(48, np.uint8)
    ones[[*range(16), 40]] = 1
    crafted.tensors["A.4.0.support"] = tensor(np.packbits(ones, bitorder="little"))


def sparse_bitmap(crafted: Crafted) -> None:
    """One nonzero in a bitmap of 40 entries."""
    crafted.metadata["blocks"][4]["terms"][0]["weight"] = {"shape": [5, 8], "nonzeros": 1}
    crafted.tensors["A.4.0.values"] = tensor(np.ones(1, np.float32))
    crafted.tensors["A.4.0.support"] = tensor(stream(b"\1\0\0\0\0"))
    del crafted.tensors["A.4.0.exponents"]


ARRAYS: list[Rule] = [
    ("no bias", no_array("bias.7"), "expected a tensor 'bias', found none"),
    ("short bias", array("bias.7", cut), "bias.7: expected shape [6], found [5]"),
    ("unclaimed bias", no_field("outputs.2", "bias"), "tensors that the metadata refers to, found 'bias.7'"),
    ("bias of another dtype", array("bias.7", lambda v: v.astype(np.float64)), "expected BF16 or F16 or F32"),
    ("infinite bias", array("bias.0", with_entry(2, np.inf)), "bias.0: expected finite values, found inf"),
    ("one tensor more", added("A.9.0.values", np.ones(3)), "metadata refers to, found 'A.9.0.values'"),
    ("no values", no_array("A.3.0.values"), "expected a tensor 'A.3.0.values', found none"),
    ("no support", no_array("A.3.0.support"), "expected a tensor 'A.3.0.support', found none"),
    ("no exponents", no_array("A.3.0.exponents"), "expected a tensor 'A.3.0.exponents', found none"),
    ("support of all", added("B.3.1.support", NO_BYTES), "refers to, found 'B.3.1.support'"),
    ("exponents of whole values", added("C.6.1.exponents", NO_BYTES), "refers to, found 'C.6.1.exponents'"),
    ("short values", array("A.3.0.values", cut), "A.3.0.values: expected shape [153], found [152]"),
    (
        "values of another dtype",
        array("C.6.1.values", lambda v: v.astype(np.float16)),
        "C.6.1.values: expected F32, found F16",
    ),
    ("short whole values", array("C.6.1.values", cut), "C.6.1.values: expected shape [6], found [5]"),
    (
        "support on two axes",
        array("A.2.0.support", lambda v: v.reshape(2, -1)),
        "A.2.0.support: expected one axis of bytes, found shape [2, 9]",
    ),
    ("bits after the values", array("A.3.0.values", with_entry(-1, 255)), "expected zeros after bit 1218"),
    ("value zero", array("C.6.1.values", with_entry(1, 0)), "C.6.1: expected nonzeros, found 0 at 1"),
    ("infinite value", array("C.6.1.values", with_entry(1, np.inf)), "C.6.1: expected finite values, found"),
    ("too many nonzeros", field(f"{SPARSE}.nonzeros", 10**3), "A.3.0.values: expected shape [2625], found"),
    (
        "exponents for one too few",
        array("A.3.0.exponents", lambda _: stream(bytes(57))),
        "A.3.0: expected 58 exponents, found 57",
    ),
    (
        "exponents for one too many",
        array("A.3.0.exponents", lambda _: stream(bytes(59))),
        "A.3.0: expected at most 58 bytes in the deflate stream, found more",
    ),
    (
        "exponents no stream",
        array("A.3.0.exponents", lambda v: 0 * v + 255),
        "A.3.0: expected a deflate stream, found an error",
    ),
    ("exponents cut short", array("A.3.0.exponents", cut), "A.3.0: expected a whole deflate stream"),
    (
        "exponents followed by more",
        array("A.3.0.exponents", lambda v: np.append(v, v[:1])),
        "A.3.0: expected one deflate stream, found 1 more bytes behind it",
    ),
    ("unary code too short", array("A.3.0.support", cut), "A.3.0: expected 58 numbers in unary, found 5"),
    ("no room for low bits", field(f"{SPARSE}.rice", 31), "A.3.0: expected 225 bytes of low bits, found 53"),
    (
        "a byte too many",
        array("A.3.0.support", lambda v: np.append(v, np.uint8(0))),
        "A.3.0: expected the last number in unary to end in byte 17",
    ),
    ("a number too many", array("A.3.0.support", lambda v: np.append(v, np.uint8(1))), "found 59"),
    ("bits after the low bits", array("A.3.0.support", with_entry(36, 255)), "expected zeros after bit 290"),
    ("nonzero outside", far_nonzero, "expected all nonzeros among 40 entries"),
    ("gap beyond the matrix", far_gap, "expected all nonzeros among 40 entries"),
    ("bitmap of one too few", bitmap(16), "A.4.0: expected 17 nonzeros in the bitmap, found 16"),
    ("bitmap too short", bitmap(17, size=4), "A.4.0: expected a bitmap of 5 bytes, found 4"),
    ("bitmap too long", bitmap(17, size=6), "A.4.0: expected at most 5 bytes in the deflate stream"),
    ("bitmap of few", sparse_bitmap, "A.4.0: expected a bitmap of at most 32 entries a nonzero, found 40"),
    (
        "constant not finite",
        array("A.2.1.maps.0.factor", with_entry(0, np.nan)),
        "A.2.1.maps.0.factor: expected finite values, found nan",
    ),
    (
        "constant of another dtype",
        array("A.2.1.maps.0.factor", lambda v: v.astype(np.float16)),
        "A.2.1.maps.0.factor: expected F32 or F64, found F16",
    ),
    (
        "constant of no axes",
        array("A.2.1.maps.0.factor", lambda _: np.ones((), np.float32)),
        "A.2.1.maps.0.factor: expected one axis or more",
    ),
    (
        "constant with an empty axis",
        array("A.2.1.maps.0.factor", lambda _: np.ones((0, 1), np.float32)),
        "A.2.1.maps.0.factor: shape (0, 1) is not of",
    ),
    ("no constant", no_array("A.2.1.maps.0.factor"), "a tensor 'A.2.1.maps.0.factor', found none"),
    (
        "a matrix as a constant",
        field("blocks.2.terms.1.maps.0.factor", "B.0.0.values"),
        "expected a tensor 'B.0.0.values', found none of this name, or used before",
    ),
]
# In one tensor A.3.0 has 153 bytes of values, 60 of exponents and 53 of support, C.6.1 24 and 2.
SHARED: list[Rule] = [
    ("no tensor", no_array("A.3.0"), "expected a tensor 'A.3.0.values', found none"),
    ("both ways", added("A.3.0.values", np.zeros(153, np.uint8)), "refers to, found 'A.3.0.values'"),
    ("values end early", array("A.3.0", lambda v: v[:152]), "A.3.0: expected 153 bytes of values, found 152"),
    ("exponents end early", array("A.3.0", lambda v: v[:200]), "A.3.0: expected a whole deflate stream"),
    ("support ends early", array("A.3.0", cut), "A.3.0: expected 58 numbers in unary, found 5"),
    ("support goes on", array("A.3.0", lambda v: np.append(v, v[-1:])), "A.3.0: expected 58 numbers in"),
    ("support of all", array("B.3.1", lambda v: np.append(v, v)), "B.3.1: expected no support, as no entry"),
    ("whole values end early", array("C.6.1", lambda v: v[:23]), "C.6.1: expected 24 bytes of values"),
    ("whole values go on", array("C.6.1", lambda v: np.append(v, v)), "C.6.1: expected 6 numbers in unary"),
    ("tensor of two axes", array("A.2.0", lambda v: v.reshape(2, -1)), "A.2.0: expected one axis of bytes"),
    ("tensor of numbers", array("C.6.1", lambda v: v[:24].view(np.float32)), "C.6.1: expected U8, found F32"),
    ("biases end early", array("bias", cut), "bias.7: expected 6 more numbers in bias, found 5"),
    (
        "biases go on",
        array("bias", lambda v: np.append(v, v[:2])),
        "bias: expected 25 numbers, one for every",
    ),
    ("unclaimed biases", no_field("outputs.2", "bias"), "bias: expected 19 numbers, one for every row"),
    ("biases on two axes", array("bias", lambda v: v.reshape(5, 5)), "bias: expected one axis, found shape"),
]
LOOPS: list[Rule] = [
    ("norm with an order", field("certificate.order", [0, 1]), "certificate: unknown key 'order'"),
    ("norm with shapes", field("certificate.scalings", []), "certificate: unknown key 'scalings'"),
    ("bound of 1", field("certificate.bound", 1.0), "below 1"),
    ("bound too small", field("certificate.bound", 0.01), "claims a bound of 0.01, recomputed"),
    ("scaling zero", array("scaling.0", np.zeros_like), "no positive scaling"),
    ("scaling too weak", array("scaling.0", lambda v: v * 1e9), "recomputed"),
    ("scaling overflows", array("scaling.0", lambda v: v * 1e308), "recomputed"),
    ("scaling not finite", array("scaling.0", lambda v: v * np.inf), "scaling.0: expected finite values"),
    ("scaling in float32", array("scaling.0", lambda v: v.astype(np.float32)), "expected F64, found F32"),
    ("no scaling", no_array("scaling.1"), "expected a tensor 'scaling.1', found none"),
    (
        "scaling of another shape",
        array("scaling.0", lambda _: np.ones((3, 3))),
        "scaling.0: expected axes of 1 or those of [4, 3], found [3, 3]",
    ),
    ("scaling of another rank", array("scaling.0", lambda _: np.ones(4)), "axes of 1 or those of [4, 3]"),
]


@cases(ARRAYS)
def test_a_wrong_tensor_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, feedforward_model(), tmp_path)


@cases(SHARED)
def test_a_wrong_shared_tensor_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, feedforward_model(), tmp_path, shared=True)


@cases(LOOPS)
def test_a_wrong_norm_certificate_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, looped_model(), tmp_path)


def test_a_bit_after_the_last_entry_of_a_bitmap_is_refused(tmp_path: Path) -> None:
    """12 entries take 12 bits of 2 bytes; the 6 nonzeros that the bitmap has include the 13th."""

    def change(crafted: Crafted) -> None:
        del crafted.metadata["outputs"][1]["terms"][1]["weight"]["rice"]
        bits = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
        crafted.tensors["C.6.1.support"] = tensor(stream(pack(bits, 1).tobytes()))

    assert "expected all nonzeros among 12 entries" in refusal_after(change, feedforward_model(), tmp_path)
