"""Reports on disk, and figures of files."""

import gzip
import hashlib
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
    sha256,
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
    artifact.write_bytes(b"weights")
    assert foreign_report(artifact) is None
    mine = replace(REPORT.artifact, sha256=hashlib.sha256(b"weights").hexdigest())
    beside.write_text(to_json(replace(REPORT, artifact=mine)))
    assert foreign_report(artifact) is None
    artifact.write_bytes(b"other weights")
    other = str(foreign_report(artifact))
    assert f"{beside} is the report of another artifact" in other
    assert mine.sha256[:12] in other
    beside.write_text("{}")
    assert str(foreign_report(artifact)).startswith(
        f"{beside}: expected a JSON object with the entry 'format'"
    )


def test_a_report_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.sim\.json: cannot be read"):
        read_report(tmp_path / "no.sim.json")
    (tmp_path / "binary.sim.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.sim\.json"):
        read_report(tmp_path / "binary.sim.json")


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_hash_and_gzipped_size_are_those_of_the_bytes(tmp_path, size):
    data = bytes(i * i % 251 for i in range(size))
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
    # The header of the gzip module says other things about the file in the same bytes.
    assert gzip_size(tmp_path / "file") == len(gzip.compress(data, 6))


def test_the_peak_memory_is_at_least_what_this_test_holds():
    held = bytearray(2**26)
    held[::4096] = b"x" * len(held[::4096])
    found = peak_memory()
    assert found is None or 2**26 < found < 2**40
