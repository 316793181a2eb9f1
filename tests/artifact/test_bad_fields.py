"""Metadata that breaks a rule is refused."""

import json
from pathlib import Path

import pytest

from .breaking import Change, Rule, cases, field, no_field, refusal, refusal_after
from .crafting import with_header
from .models import feedforward_model

FIELDS: list[Rule] = [
    ("newer version", field("version", 2), "newer than 1, the newest this program reads: run  pip install"),
    ("version of text", field("version", "1"), "expected format version 1, found '1'"),
    ("boolean version", field("version", True), "expected format version 1, found True"),
    ("version 0", field("version", 0), "expected format version 1, found 0"),
    ("no version", no_field("", "version"), "expected format version 1, found None"),
    ("no inputs", no_field("", "inputs"), "expected the key 'inputs'"),
    ("unknown top key", field("extra", 1), "unknown key 'extra'"),
    ("inputs no array", field("inputs", {}), "inputs: expected an array"),
    ("block no object", field("blocks.0", 3), "blocks[0]: expected an object"),
    ("block without terms", no_field("blocks.0", "terms"), "blocks[0]: expected the key 'terms'"),
    ("name a number", field("blocks.0.name", 3), "blocks[0].name: expected a string"),
    ("name not Unicode", field("blocks.0.name", "\ud800"), "blocks[0].name: expected a string"),
    ("names twice", field("blocks.1.name", "conv"), "unique names"),
    ("output names twice", field("outputs.1.name", "scores"), "unique names"),
    ("unknown dtype", field("inputs.0.dtype", "object"), "inputs[0].dtype: expected one of bool"),
    (
        "unknown source",
        field("blocks.0.terms.0.source", 7),
        "source: expected a whole number in 0..6, found 7",
    ),
    ("negative source", field("blocks.0.terms.0.source", -1), "source: expected a whole number"),
    ("unknown map", field("blocks.0.terms.0.maps.0.map", "roll"), "maps[0].map: expected one of alongaxis"),
    ("map no object", field("blocks.0.terms.0.maps.0", "patches"), "object with the key 'map'"),
    ("map without a field", no_field("blocks.0.terms.0.maps.0", "kernel"), "expected the key 'kernel'"),
    ("map with a field too many", field("blocks.0.terms.0.maps.0.x", 1), "unknown key 'x'"),
    (
        "matrix by another name",
        field("outputs.0.terms.1.maps.0.matrix.name", "B.0.bias"),
        "name: expected a name maps.<n>",
    ),
    (
        "matrix not there",
        field("outputs.0.terms.1.maps.0.matrix.name", "maps.9"),
        "tensors maps.9.*: expected",
    ),
    (
        "matrix of other rows",
        field("outputs.0.terms.1.maps.0.matrix.rows", 5),
        "tensor maps.2.bitmap: expected shape",
    ),
    ("matrix along no axis", field("outputs.0.terms.1.maps.0.axis", 2), "along axis 2 of (16, 5)"),
    ("axis of text", field("outputs.0.terms.1.maps.0.axis", "0"), "axis: expected a whole number"),
    ("matrix no object", field("outputs.0.terms.1.maps.0.matrix", "maps.2"), "matrix: expected an object"),
    ("unknown phi", field("blocks.0.phi.name", "eval"), "phi.name: expected one of abs"),
    ("phi without its attribute", no_field("blocks.2.phi", "slope"), "expected the key 'slope'"),
    ("attribute of text", field("blocks.2.phi.slope", "inf"), "slope: expected a number"),
    ("bound of other text", field("blocks.3.phi.high", "nan"), "high: expected one of -inf, inf"),
    ("boolean attribute", field("blocks.2.phi.slope", True), "slope: expected a number"),
    ("number beyond float", field("blocks.2.phi.slope", 10**400), "a number that fits a float"),
    ("row axis outside", field("blocks.4.row_axis", 2), "row_axis: expected a whole number in 0..1"),
    ("groups do not divide", field("blocks.2.terms.0.groups", 3), "groups: expected a divisor of 8 rows"),
    ("groups of 0", field("blocks.2.terms.0.groups", 0), "groups: expected a whole number in 1..8"),
    ("bias of text", field("blocks.0.bias", "yes"), "bias: expected true or false"),
    ("constant by another name", field("blocks.2.terms.1.maps.0.factor", "B.0.bias"), "maps.<n>"),
    ("constant not there", field("blocks.2.terms.1.maps.0.factor", "maps.9"), "tensor 'maps.9': expected"),
    ("constant a list", field("blocks.2.terms.1.maps.0.factor", [1]), "factor: expected a number"),
    ("provenance no object", field("provenance", []), "provenance: expected an object"),
    ("deep provenance", field("provenance.a", json.loads("[" * 40 + "]" * 40)), "deeper than 32 levels"),
    ("unknown certificate", field("certificate.kind", "trust"), "kind: expected one of acyclic, norm"),
    ("acyclic without order", no_field("certificate", "order"), "expected the key 'order'"),
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
    ("acyclic claim with a loop", field("blocks.2.terms.1.source", 4), "certificate: block 'grouped' reads"),
]


@cases(FIELDS)
def test_a_wrong_field_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    assert message in refusal_after(change, feedforward_model(), tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected format version 1, found None"),
        ('{"version": 1, "version": 1}', "found 'version' twice"),
        ('{"version": NaN}', "expected finite numbers, found 'NaN'"),
        ('{"version": -Infinity}', "expected finite numbers"),
        ('{"version": 1e999}', "expected finite numbers, found '1e999'"),
        ("[" * 100_000, "deeper than 32 levels"),
        ('{"version": ' + "9" * 5000 + "}", "expected JSON"),
    ],
)
def test_metadata_that_is_not_strict_json_is_refused(text: str, message: str, tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"sim_compress": text}})
    assert message in refusal(with_header(header, b""), tmp_path)
