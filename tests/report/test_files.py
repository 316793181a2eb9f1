"""Reports on disk, and figures of files."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from sim_compress.errors import InputError
from sim_compress.report import (
    foreign_report,
    gzip_size,
    peak_memory,
    read_report,
    report_path,
    to_json,
)
from tests.report.examples import REPORT


@pytest.mark.parametrize(
    ("artifact", "report"),
    [
        ("net.sim.safetensors", "net.sim.json"),
        ("folder/net.sim.safetensors", "folder/net.sim.json"),
        ("net.safetensors", "net.json"),
        ("net.v2", "net.v2.json"),
        ("net.json", "net.json.json"),
    ],
)
def test_the_report_lies_beside_the_artifact_under_another_name(artifact, report):
    assert report_path(Path(artifact)) == Path(report)


def test_a_report_is_read_back(tmp_path):
    (tmp_path / "net.sim.json").write_text(to_json(REPORT))
    assert read_report(tmp_path / "net.sim.json") == REPORT


def test_a_report_belongs_to_the_artifact_whose_digest_it_carries(tmp_path):
    artifact, beside = tmp_path / "net.sim.safetensors", tmp_path / "net.sim.json"
    digest = "0123456789ab" + "c" * 52
    assert foreign_report(artifact, digest) is None
    beside.write_text(to_json(replace(REPORT, artifact=replace(REPORT.artifact, digest=digest))))
    assert foreign_report(artifact, digest) is None
    other = str(foreign_report(artifact, "d" * 64))
    assert f"{beside} is the report of another artifact" in other
    assert "digest 0123456789ab..., that of this one dddddddddddd..." in other
    beside.write_text("{}")
    assert str(foreign_report(artifact, digest)).startswith(
        f"{beside}: expected a JSON object with the entry 'format'"
    )


def test_a_report_of_an_earlier_version_is_named_and_left_out(tmp_path):
    artifact, beside = tmp_path / "net.sim.safetensors", tmp_path / "net.sim.json"
    document = json.loads(to_json(REPORT))
    document["artifact"]["sha256"] = document["artifact"].pop("digest")
    beside.write_text(json.dumps(document | {"version": 1}))
    assert foreign_report(artifact, REPORT.artifact.digest) == (
        f"{beside}: expected report version 2, found 1: compress again, or read it with the program that "
        "wrote it; its figures are left out"
    )


def test_a_report_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.sim\.json: cannot be read"):
        read_report(tmp_path / "no.sim.json")
    (tmp_path / "binary.sim.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.sim\.json"):
        read_report(tmp_path / "binary.sim.json")


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_the_gzipped_size_is_that_of_the_bytes(tmp_path, size):
    data = bytes(i * i % 251 for i in range(size))
    (tmp_path / "file").write_bytes(data)
    # The header of the gzip module says other things about the file in the same bytes.
    assert gzip_size(tmp_path / "file") == len(gzip.compress(data, 6))


def test_the_peak_memory_is_at_least_what_this_test_holds():
    held = bytearray(2**26)
    held[::4096] = b"x" * len(held[::4096])
    found = peak_memory()
    assert found is None or 2**26 < found < 2**40
