"""Names of files with any bytes, and disks with no room: the job ends well, or names the file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.networks import ENV, names

POSIX = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="file names of any bytes are those of Linux"
)
NAMES = [
    b"with space",
    "größe 模型".encode(),
    b"two\nlines",
    b"no \xff\xfe text",
    b"-dash",
    b"[bold]x",
    b"$\\bad$",
]


def process(*command: object, limit: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """A run of its own, which may write files of at most so many bytes."""

    def limited() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "sim_compress", *map(str, command)],
        check=False,
        capture_output=True,
        env=ENV,
        timeout=120,
        preexec_fn=limited,
    )


@POSIX
@pytest.mark.parametrize("name", NAMES)
def test_a_network_of_any_name_is_compressed_swept_and_shown(run, folder, name):
    stem = os.fsdecode(name)
    for suffix in ("onnx", "calibration.npz"):
        Path(f"net.{suffix}").rename(f"{stem}.{suffix}")
    network, artifact, report = (f"./{stem}.{s}" for s in ("onnx", "sim.safetensors", "sim.json"))
    assert run(network, "--target-sparsity", 50).code == 0
    assert run(network, "--sweep", "30,50").code == 0
    assert run("inspect", artifact).code == run("compare", artifact, report).code == 0
    assert run("export", artifact).code == 0
    assert run("evaluate", artifact, "--data", "evaluation.npz", "--against", network).code == 0
    assert Path(f"{stem}.sweep.html").exists()
    assert not [n for n in names(folder) if n.endswith(".tmp")]


@POSIX
@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("net.onnx", "--target-sparsity", 50), b"net.sim.json"),
        (("net.onnx", "--sweep", "30,50"), b"net.sweep."),
        (("export", "net.sim.safetensors"), b"net.sim.onnx"),
    ],
)
def test_a_disk_without_room_is_one_line_that_names_the_file(folder, compressed, command, file):
    Path("net.sim.json").unlink()
    before = {name: Path(name).read_bytes() for name in names(folder)}
    # Enough for the temporary copy of the network and its artifact, not for what comes after them.
    room = max(compressed.stat().st_size, Path("net.onnx").stat().st_size // 2)
    done = process(*command, limit=room if command[0] == "export" else room + 500)
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr
    assert file in done.stderr.splitlines()[-1] or b"temporary folder" in done.stderr.splitlines()[-1]
    assert {name: Path(name).read_bytes() for name in names(folder)} == before
