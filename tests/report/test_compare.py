"""Columns and rows of a comparison, and what is said before figures are compared."""

from dataclasses import replace
from pathlib import Path

from sim_compress.artifact import read, write
from sim_compress.certificate import certify
from sim_compress.report import Column, Comparison, Row, column, compare, to_json
from sim_compress.report.columns import artifact_column, report_column
from tests.networks import residual_network
from tests.report.examples import REPORT, TEST_SET


def row(comparison: Comparison, label: str) -> Row:
    return next(r for r in comparison.rows if r.label == label)


def other() -> Column:
    denser = replace(REPORT, sparsity=0.3, artifact=replace(REPORT.artifact, bytes=700))
    return report_column("b", denser)


def test_the_difference_is_last_minus_first():
    comparison = compare([report_column("a", REPORT), other()])
    assert comparison.titles == ("a", "b")
    assert row(comparison, "artifact") == Row("artifact", "bytes", (600, 700), 100)
    assert row(comparison, "network").difference is None
    assert comparison.remarks == ()


def test_the_scores_shown_are_those_of_the_output_with_classes():
    comparison = compare([report_column("a", REPORT)])
    assert row(comparison, "top-1 agreement").values == (0.99,)
    assert row(comparison, "accuracy after").values == (0.93,)


def test_scores_on_other_data_are_not_subtracted():
    evaluation = replace(REPORT.evaluation, data=replace(TEST_SET, sha256="another"))
    elsewhere = report_column("b", replace(REPORT, evaluation=evaluation))
    comparison = compare([report_column("a", REPORT), elsewhere])
    for label in ("accuracy before", "accuracy after", "top-1 agreement", "relative output error"):
        assert row(comparison, label).difference is None
    assert row(comparison, "artifact").difference == 0
    assert any("measured on different data" in remark for remark in comparison.remarks)


def test_other_networks_are_said():
    network = replace(REPORT.network, sha256="another")
    columns = [report_column("a", REPORT), report_column("b", replace(REPORT, network=network))]
    assert compare(columns).remarks == ("The files come from different networks.",)


def test_rows_that_no_file_knows_are_left_out():
    comparison = compare([Column(title="a", nonzeros=3), Column(title="b", nonzeros=4)])
    assert [r.label for r in comparison.rows] == ["nonzeros"]


def test_an_artifact_alone_is_shown_with_what_its_provenance_says(tmp_path):
    path = tmp_path / "net.sim.safetensors"
    model = residual_network()
    write(path, model, certify(model), {"teacher": {"file": "net.onnx", "parameters": "many"}, "settings": 3})
    found = artifact_column("a", read(path))
    assert (found.network, found.parameters, found.nonzeros) == ("net.onnx", None, model.nnz)
    assert column(path) == replace(found, title=str(path))
    remarks = compare([found]).remarks
    assert remarks == ("a: no report of it lies beside it, so only what the artifact holds is shown.",)


def test_a_report_beside_an_artifact_counts_where_its_digest_does(tmp_path):
    path = tmp_path / "net.sim.safetensors"
    model = residual_network()
    write(path, model, certify(model), {})
    (tmp_path / "net.sim.json").write_text(to_json(REPORT))
    assert column(path).total_seconds is None
    written = replace(REPORT, artifact=replace(REPORT.artifact, digest=read(path).digest))
    (tmp_path / "net.sim.json").write_text(to_json(written))
    assert column(path) == report_column(str(path), written)


def test_a_report_beside_a_damaged_artifact_says_so(tmp_path):
    path, beside = tmp_path / "net.sim.safetensors", tmp_path / "net.sim.json"
    model = residual_network()
    write(path, model, certify(model), {})
    beside.write_text(to_json(replace(REPORT, artifact=replace(REPORT.artifact, digest=read(path).digest))))
    assert column(beside).remark is None
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    assert str(column(beside).remark).startswith(f"{path}: the file is damaged: its digest (SHA-256)")


def test_a_report_of_a_file_of_version_3_repeats_its_digest(tmp_path):
    path = tmp_path / "net.sim.safetensors"
    path.write_bytes((Path(__file__).parents[1] / "artifact/format3/feedforward.safetensors").read_bytes())
    written = replace(REPORT, artifact=replace(REPORT.artifact, digest=read(path).digest))
    (tmp_path / "net.sim.json").write_text(to_json(written))
    assert column(path) == report_column(str(path), written)
