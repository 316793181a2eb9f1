"""Reports on disk, beside their artifact; and the gzipped size of files."""

import zlib
from pathlib import Path

from sim_compress.errors import InputError
from sim_compress.report.encoding import from_json
from sim_compress.report.figures import Report

ARTIFACT_SUFFIX = ".safetensors"
REPORT_SUFFIX = ".json"
CHUNK = 2**20
# zlib's window bits for a gzip header.
GZIP = 31
# Digits of a hash that tell two files apart.
SHOWN = 12


def report_path(artifact: Path) -> Path:
    """Where the report of an artifact lies: NAME.sim.safetensors -> NAME.sim.json."""
    return artifact.with_name(artifact.name.removesuffix(ARTIFACT_SUFFIX) + REPORT_SUFFIX)


def foreign_report(artifact: Path, digest: str) -> str | None:
    """What is wrong with the report beside an artifact of this digest; None where it is its own, or none."""
    beside = report_path(artifact)
    if not beside.exists():
        return None
    try:
        report = read_report(beside)
    except InputError as error:
        return f"{error}; its figures are left out"
    if report.artifact.digest == digest:
        return None
    return (
        f"{beside} is the report of another artifact (digest {report.artifact.digest[:SHOWN]}..., "
        f"that of this one {digest[:SHOWN]}...), as where a run was killed while it wrote: "
        f"its figures are not those of {artifact}; compress again, or move it away"
    )


def read_report(path: Path) -> Report:
    """Read and check a report.

    Raises:
        InputError: there is no such file, or it is not a report.
    """
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}): check the path and its rights"
        ) from error
    except (UnicodeDecodeError, InputError) as error:
        raise InputError(f"{path}: {error}") from error


def growth(network: int, artifact: int) -> tuple[str, ...]:
    """The notice due where an artifact takes more bytes than the network it came from, if any."""
    if artifact <= network:
        return ()
    return (
        f"the artifact takes {artifact:,} bytes, more than the {network:,} of the network: with so few "
        "parameters its description outweighs them. Keep the network where size is what counts",
    )


def gzip_size(path: Path) -> int:
    """Bytes of the file after gzip at its usual level."""
    packer = zlib.compressobj(wbits=GZIP)
    with open(path, "rb") as file:
        size = sum(len(packer.compress(chunk)) for chunk in iter(lambda: file.read(CHUNK), b""))
    return size + len(packer.flush())
