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
from .models import feedforward_model, looped_model

# In the feed-forward model: A.3.0 (6, 500) is packed, A.2.0 (8, 72 in 4 groups) and D.1.0 (2, 55) are a
# bitmap, B.3.1 (6, 55) is dense; maps.0 is (8, 1, 1).
TENSORS: list[Rule] = [
    ("no bias", no_tensor("B.0.bias"), "tensor 'B.0.bias': expected in the file"),
    ("bias too short", tensor("B.0.bias", cut), "B.0.bias: expected shape [8], found [7]"),
    ("bias of float64", tensor("B.0.bias", np.float64), "B.0.bias: expected F32, found F64"),
    ("bias of integers", tensor("B.0.bias", np.int64), "B.0.bias: expected F32, found I64"),
    (
        "infinite bias",
        tensor("B.0.bias", with_entry(2, np.inf)),
        "B.0.bias: expected finite values, found inf",
    ),
    ("unclaimed tensor", new_tensor("A.9.9.values", np.ones(3)), "'A.9.9.values': nothing in the metadata"),
    ("unclaimed bias", no_field("blocks.0", "bias"), "'B.0.bias': nothing in the metadata"),
    ("no matrix", no_tensor("B.3.1.dense"), "tensors B.3.1.*: expected dense; or bitmap, values"),
    ("no values", no_tensor("A.3.0.values"), "found counts, indices"),
    ("two layouts", new_tensor("A.3.0.dense", np.ones((6, 500))), "found counts, dense, indices, values"),
    ("values too short", tensor("A.3.0.values", cut), "A.3.0.values: expected shape"),
    ("value not finite", tensor("A.3.0.values", with_entry(0, np.nan)), "A.3.0.values: expected finite"),
    ("value zero", tensor("A.3.0.values", with_entry(1, 0)), "A.3.0.values: expected nonzeros, found 0 at 1"),
    ("indices too short", tensor("A.3.0.indices", cut), "A.3.0.indices: expected shape"),
    (
        "index outside",
        tensor("A.3.0.indices", lambda v: np.append(np.full(2, 255, np.uint8), v[2:])),
        "A.3.0.indices: expected below 500",
    ),
    ("columns not increasing", tensor("A.3.0.indices", np.zeros_like), "expected increasing columns"),
    ("indices of int32", tensor("A.3.0.indices", np.int32), "A.3.0.indices: expected U8, found I32"),
    ("counts too short", tensor("A.3.0.counts", cut), "A.3.0.counts: expected shape [6]"),
    ("counts signed", tensor("A.3.0.counts", np.int8), "A.3.0.counts: expected U8 or U16 or U32"),
    (
        "count above the columns",
        tensor("A.3.0.counts", lambda v: v.astype(np.uint16) + 500),
        "expected at most 500, found 5",
    ),
    ("bitmap too short", tensor("A.2.0.bitmap", cut), "A.2.0.bitmap: expected shape"),
    (
        "bits after the bitmap",
        tensor("D.1.0.bitmap", with_entry(-1, 255)),
        "D.1.0.bitmap: expected zeros after",
    ),
    ("bitmap and values differ", tensor("A.2.0.bitmap", np.zeros_like), "A.2.0.values: expected shape [0]"),
    ("dense of another shape", tensor("B.3.1.dense", np.transpose), "B.3.1.dense: expected shape [6, 55]"),
    ("dense not finite", tensor("B.3.1.dense", with_entry(0, np.nan)), "B.3.1.dense: expected finite"),
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
