"""Metadata that breaks a rule is refused."""

import json
from pathlib import Path

import pytest

from .breaking import Change, Rule, array, cases, field, no_field, refusal, refusal_after
from .crafting import packed_text
from .models import feedforward_model, gated_model

SPARSE, FULL = "blocks.3.terms.0.weight", "blocks.3.terms.1.weight"
PICKED = "outputs.0.terms.1.maps.0.matrix"
FIELDS: list[Rule] = [
    ("no inputs", no_field("", "inputs"), "expected the key 'inputs'"),
    ("inputs no array", field("inputs", {}), "inputs: expected an array"),
    ("block no object", field("blocks.0", 3), "blocks[0]: expected an object"),
    ("block without terms", no_field("blocks.0", "terms"), "blocks[0]: expected the key 'terms'"),
    ("name a number", field("blocks.0.name", 3), "blocks[0].name: expected a string"),
    ("name not Unicode", field("blocks.0.name", "\ud800"), "blocks[0].name: expected a string"),
    ("names twice", field("blocks.1.name", "conv"), "unique names of inputs and blocks, found 'conv' twice"),
    ("output names twice", field("outputs.1.name", "scores"), "unique names"),
    ("unknown dtype", field("inputs.0.dtype", "object"), "inputs[0].dtype: expected one of bool"),
    (
        "unknown source",
        field("blocks.0.terms.0.source", "logits"),
        "source: expected the name of an input or a block, found 'logits'",
    ),
    ("source a number", field("blocks.0.terms.0.source", 0), "source: expected a string"),
    ("unknown map", field("blocks.0.terms.0.maps.0.map", "roll"), "maps[0].map: expected one of alongaxis"),
    ("map no object", field("blocks.0.terms.0.maps.0", "patches"), "object with the key 'map'"),
    ("map without a field", no_field("blocks.4.terms.0.maps.1", "after"), "expected the key 'after'"),
    ("map with a field too many", field("blocks.0.terms.0.maps.0.x", 1), "unknown key 'x'"),
    (
        "matrix without a tensor",
        no_field(PICKED, "tensor"),
        "matrix: expected the key 'tensor'",
    ),
    ("matrix of no tensor", field(f"{PICKED}.tensor", "A"), "expected a tensor 'A.values', found none"),
    (
        "matrix of other columns",
        field(f"{PICKED}.weight.shape", [4, 17]),
        "matrix (4, 17) along axis 0 of (16, 5)",
    ),
    ("matrix along no axis", field("outputs.0.terms.1.maps.0.axis", 2), "along axis 2 of (16, 5)"),
    ("axis of text", field("outputs.0.terms.1.maps.0.axis", "0"), "axis: expected a whole number"),
    ("matrix no object", field(PICKED, "A.0"), "matrix: expected an object"),
    ("unknown phi", field("blocks.0.phi.name", "eval"), "phi.name: expected one of abs"),
    ("phi without its attribute", no_field("blocks.2.phi", "slope"), "expected the key 'slope'"),
    ("attribute of text", field("blocks.2.phi.slope", "inf"), "slope: expected a number"),
    ("bound of other text", field("blocks.3.phi.high", "nan"), "high: expected one of -inf, inf"),
    ("boolean attribute", field("blocks.2.phi.slope", True), "slope: expected a number"),
    ("number beyond float", field("blocks.2.phi.slope", 10**400), "a number that fits a float"),
    ("row axis outside", field("blocks.4.row_axis", 2), "row_axis: expected a whole number in 0..1"),
    (
        "groups do not divide",
        field("blocks.2.terms.0.weight.groups", 3),
        "groups: expected a divisor of 8 rows",
    ),
    ("groups of 0", field("blocks.2.terms.0.weight.groups", 0), "groups: expected a whole number in 1..8"),
    ("weight no object", field("blocks.2.terms.0.weight", True), "weight: expected an object, found True"),
    ("unknown weight field", field("blocks.2.terms.0.weight.layout", 1), "weight: unknown key 'layout'"),
    (
        "other columns",
        field("blocks.2.terms.0.weight.shape", [8, 80]),
        "weight (8, 80) on features",
    ),
    ("other rows", field("blocks.2.terms.0.weight.shape", [4, 72]), "shape: expected 8 rows, and columns"),
    ("three axes", field("blocks.2.terms.0.weight.shape", [8, 72, 1]), "shape: expected 8 rows, and columns"),
    ("no shape", no_field("blocks.2.terms.0.weight", "shape"), "weight: expected the key 'shape'"),
    (
        "negative nonzeros",
        field("blocks.2.terms.0.weight.nonzeros", -1),
        "nonzeros: expected a whole number in 0..144",
    ),
    (
        "more than all entries",
        field("blocks.2.terms.0.weight.nonzeros", 145),
        "nonzeros: expected a whole number",
    ),
    ("rice parameter of 32", field(f"{SPARSE}.rice", 32), "rice: expected a whole number in 0..31"),
    ("rice without nonzeros", field(f"{FULL}.rice", 1), "rice: expected nonzeros beside it"),
    ("reserved value format", field(f"{FULL}.values", "int8"), "values: expected one of bfloat16"),
    ("exponent of infinity", field(f"{FULL}.exponent", 255), "exponent: expected a whole number in 0..254"),
    ("exponent of another format", field(f"{FULL}.values", "float16"), "a whole number in 0..30"),
    ("four leading bits", field(f"{FULL}.lead", 4), "lead: expected a whole number in 0..3"),
    (
        "leading bits alone",
        field("outputs.1.terms.1.weight.lead", 3),
        "lead: expected an exponent beside it",
    ),
    (
        "exponent below 0",
        field(f"{FULL}.exponent", 4),
        "expected exponents of 0 or more, counted down",
    ),
    ("no bias", field("blocks.0.bias", False), "bias: expected true, or no key, found False"),
    ("bias a format", field("blocks.0.bias", "float32"), "bias: expected true or false"),
    (
        "constant a list",
        field("blocks.2.terms.1.maps.0.factor", [1]),
        "factor: expected a number or the name",
    ),
    ("constant true", field("blocks.2.terms.1.maps.0.factor", True), "factor: expected a number or the name"),
    ("patches without a kernel", no_field("blocks.0.terms.0.maps.0", "kernel"), "expected the key 'kernel'"),
    ("slice without counts", no_field("blocks.4.terms.0.maps.2", "counts"), "expected the key 'counts'"),
    ("kernel a number", field("blocks.0.terms.0.maps.0.kernel", 3), "kernel: expected an array, found 3"),
    ("counts of text", field("blocks.4.terms.0.maps.2.counts", ["8"]), "counts[0]: expected a whole number"),
    ("counts null", field("blocks.3.terms.0.maps.1.counts", None), "counts: expected an array, found None"),
    ("unknown top key", field("constants", 1), "metadata: unknown key 'constants'"),
    ("provenance no object", field("provenance", []), "provenance: expected an object"),
    ("deep provenance", field("provenance.a", json.loads("[" * 40 + "]" * 40)), "deeper than 32 levels"),
    ("unknown certificate", field("certificate.kind", "trust"), "kind: expected one of acyclic, norm"),
    ("acyclic with scalings", field("certificate.scalings", []), "certificate: unknown key 'scalings'"),
    ("acyclic with a bound", field("certificate.bound", 0.5), "bound: expected 0 for an acyclic"),
    (
        "order outside",
        field("certificate.order", [0, 1, 2, 3, 9]),
        "order[4]: expected a whole number in 0..4",
    ),
    ("order incomplete", field("certificate.order", [0, 1, 2, 3]), "does not list every block exactly once"),
    (
        "order broken",
        field("certificate.order", [1, 0, 2, 3, 4]),
        "'pool' reads 'conv', which is not before it",
    ),
    (
        "acyclic claim with a loop",
        field("blocks.2.terms.1.source", "grouped"),
        "certificate: block 'grouped' reads",
    ),
]


@cases(FIELDS)
def test_a_wrong_field_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, feedforward_model(), tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "metadata: expected JSON"),
        ("[]", "metadata: expected an object"),
        ('{"inputs": 1, "inputs": 1}', "metadata: expected unique keys, found 'inputs' twice"),
        ('{"inputs": NaN}', "metadata: expected finite numbers, found 'NaN'"),
        ('{"inputs": -Infinity}', "metadata: expected finite numbers"),
        ('{"inputs": 1e999}', "metadata: expected finite numbers, found '1e999'"),
        ("[" * 100_000, "metadata: nested deeper than 32 levels"),
        ('{"inputs": ' + "9" * 5000 + "}", "metadata: expected JSON"),
    ],
)
def test_metadata_that_is_not_strict_json_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in refusal(packed_text(text.encode()), tmp_path)


PHIS: list[Rule] = [
    ("axis beyond the shape", field("blocks.0.phi.axes", [2]), "blocks[0]: expected axes of (3, 4)"),
    ("axis twice", field("blocks.0.phi.axes", [1, 1]), "blocks[0]: expected axes of (3, 4)"),
    ("no axes", field("blocks.0.phi.axes", []), "blocks[0]: expected axes of (3, 4)"),
    ("negative axis", field("blocks.0.phi.axes", [-1]), "axes[0]: expected a whole number"),
    ("one part", field("blocks.1.phi.parts", [[24]]), "blocks[1]: expected 2 parts, found 1"),
    ("parts no array", field("blocks.1.phi.parts", 24), "parts: expected an array"),
    ("part no array", field("blocks.1.phi.parts", [12, 12]), "parts[0]: expected an array"),
    ("empty part", field("blocks.1.phi.parts", [[0], [24]]), "parts[0][0]: expected a whole number in 1"),
    ("parts too large", field("blocks.1.phi.parts", [[3, 4], [3, 5]]), "does not hold the parts"),
    ("parts apart", field("blocks.1.phi.parts", [[3, 4], [4, 3]]), "blocks[1]: "),
    (
        "parts of a larger product",
        field("blocks.1.phi", {"name": "matmul", "parts": [[12, 1], [1, 12]]}),
        "term from 'gate' has shape (12, 12)",
    ),
    ("slopes of no tensor", field("blocks.2.phi.slopes", "bias.0"), "a tensor 'bias.0', found none"),
    ("slopes of another shape", array("phi.2.slopes", lambda v: v.reshape(2, 2)), "blocks[2]: "),
]


@cases(PHIS)
def test_a_phi_that_does_not_fit_its_pre_activation_is_refused(
    change: Change, message: str, tmp_path: Path
) -> None:
    assert message in refusal_after(change, gated_model(), tmp_path)
