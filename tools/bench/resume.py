"""Jobs ended at random moments, each run again until it is done: the same bytes, and no file but its own.

usage: python tools/bench/resume.py NETWORK.onnx CALIBRATION.npz [--sparsity 40] [--tune 2] [--moments 30]

Five ways to end: kill -9, SIGTERM, Ctrl-C, memory that is no longer given, and a disk that takes no more. A
job is ended once, at a moment drawn from the time that an undisturbed one takes, and then run again. Before
that the cost: wall time of a job that keeps no results, and of one that does.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

WAYS = ("SIGKILL", "SIGTERM", "SIGINT", "memory", "disk")
# Seconds after which it is no longer waited for a process that was told to end.
PATIENCE = 60


def job(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """The command line of one job that writes into a folder."""
    return [
        str(arguments.network.resolve()),
        *("--data", str(arguments.data.resolve()), "--tune", str(arguments.tune)),
        *("--target-sparsity", str(arguments.sparsity), "-o", str(folder / "net.sim.safetensors")),
    ]


def inside(how: str, after: float, least: float, command: list[str]) -> int:
    """The job in this process, for which a resource ends after some seconds."""
    import resource

    from sim_compress.cli import main
    from sim_compress.compression.resume import folder

    def end() -> None:
        time.sleep(after)
        if how == "disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        if how == "memory":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            now = pages * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (now, resource.RLIM_INFINITY))

    folder.LEAST = least
    if how != "whole":
        threading.Thread(target=end, daemon=True).start()
    return main(command)


def started(how: str, after: float, least: float, command: list[str]) -> subprocess.Popen[bytes]:
    script = [sys.executable, __file__, "--inside", how, str(after), str(least), *command]
    return subprocess.Popen(script, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def ended(how: str, after: float, least: float, command: list[str]) -> tuple[int, str]:
    """Exit code and last line of a job that is ended after some seconds."""
    process = started(how, after, least, command)
    if how.startswith("SIG"):
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, how))
    _, err = process.communicate(timeout=after + 10 * PATIENCE)
    lines = err.decode(errors="replace").strip().splitlines()
    return process.returncode, lines[-1] if lines else ""


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sparsity", type=float, default=40)
    parser.add_argument("--tune", type=int, default=2)
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--least", type=float, default=1.0, help="seconds of work that are worth a file")
    parser.add_argument("--earliest", type=float, default=0.0, help="part of the time before which none ends")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed(arguments, Path(scratch))


def undisturbed(arguments: argparse.Namespace, scratch: Path) -> None:
    """The bytes to compare with, the time a job takes, and then all ways to end it."""
    seconds = {}
    for name, least in (("without a run folder", float("inf")), ("with a run folder", arguments.least)):
        folder = scratch / name
        folder.mkdir()
        began = time.perf_counter()
        code, last = ended("whole", 0, least, job(arguments, folder))
        seconds[name] = time.perf_counter() - began
        assert code == 0, last
        print(f"{name}: {seconds[name]:.1f} s wall")
    wanted = (folder / "net.sim.safetensors").read_bytes()
    for way in arguments.ways:
        tried(arguments, scratch / way, way, seconds["with a run folder"], wanted)


def tried(arguments: argparse.Namespace, parent: Path, way: str, whole: float, wanted: bytes) -> None:
    """One way to end a job, at random moments."""
    pick = random.Random(way)
    same = finished = resumed = partial = 0
    ends: dict[str, int] = {}
    spent = 0.0
    for number in range(arguments.moments):
        folder = parent / str(number)
        folder.mkdir(parents=True)
        command = job(arguments, folder)
        code, last = ended(way, pick.uniform(arguments.earliest * whole, whole), arguments.least, command)
        ends[f"{code}: {last[:60]}"] = ends.get(f"{code}: {last[:60]}", 0) + 1
        finished += code == 0
        left = {p.name for p in folder.iterdir()} - {"net.sim.run"}
        partial += code != 0 and bool(left)
        resumed += (folder / "net.sim.run" / "manifest.json").exists()
        began = time.perf_counter()
        again, text = ended("whole", 0, arguments.least, command)
        spent += time.perf_counter() - began
        names = {p.name for p in folder.iterdir()}
        whole_again = again == 0 and names == {"net.sim.safetensors", "net.sim.json"}
        same += whole_again and (folder / "net.sim.safetensors").read_bytes() == wanted
        if not whole_again:
            print(f"{way} {number}: {again} {text} {sorted(names)}")
    print(
        f"{way}: {arguments.moments} moments, {same} to the same bytes, {partial} with partial files, "
        f"{resumed} with results to go on from, {finished} ended too late; run again "
        f"{spent / arguments.moments:.1f} s on average"
    )
    for end, count in sorted(ends.items()):
        print(f"    {count} x {end}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5:]))
    main()
