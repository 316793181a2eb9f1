"""Spoil artifacts in thousands of ways and read each: nothing may crash, hang, take memory or be wrong.

usage: PYTHONPATH=tools python tools/bench/fuzz.py FILE ... [--count 20000] [--seed 0]

Reading runs in processes of their own with a limit on the address space and on the time of every file (Linux
only). What is read from damage must be the intact model; what is read from a hostile file with a right digest
may be another model, but then the second reader (tools/read_artifact.py) must see the same rows, and writing
it and reading it again must give it back.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
from bench.mutations import DAMAGE, HOSTILE
from read_artifact import read as read_by_the_page

from sim_compress.artifact import Artifact, encode, read
from sim_compress.artifact.decoder import decode
from sim_compress.artifact.spec import block_part, output_part
from sim_compress.errors import ArtifactError

SECONDS = 10
# Address space beyond that of the interpreter before it reads a file.
MEMORY = 2**28
CHUNK = 500
KINDS = {**DAMAGE, **HOSTILE}
REFUSED, EQUAL, OTHER, WRONG, CRASHED, HUNG = (
    "refused by name",
    "accepted, equal",
    "accepted, another valid model",
    "accepted wrongly",
    "crashed",
    "hung",
)


def outcome(kind: str, intact: bytes, place: Path) -> str:
    """What reading one file does."""
    try:
        artifact = read(place)
    except ArtifactError:
        return REFUSED
    if encode(artifact.model, artifact.certificate, artifact.provenance) == intact:
        return EQUAL
    return OTHER if kind in HOSTILE and consistent(artifact, place) else WRONG


def consistent(artifact: Artifact, place: Path) -> bool:
    """Whether a second reader sees the same rows, and writing and reading changes nothing."""
    rows = read_by_the_page(place)
    model = artifact.model
    for i, owner in enumerate((*model.blocks, *model.outputs)):
        part = block_part(i) if i < len(model.blocks) else output_part(i)
        affine = owner.affine
        for t, term in enumerate(affine.terms):
            if term.weight is not None:
                found = rows.matrices[part.matrix(t, model.is_input(term.source))]
                if not np.array_equal(found.toarray(), term.weight.toarray()):
                    return False
        if affine.bias is not None and not np.array_equal(rows.biases[part.bias], affine.bias):
            return False
    written = encode(model, artifact.certificate, artifact.provenance)
    again = decode(written)
    return encode(again.model, again.certificate, again.provenance) == written


def work(file: Path, seed: int, start: int, end: int) -> None:
    """Read the spoilt files of numbers start to end; a line of JSON for each."""
    data = file.read_bytes()
    artifact = read(file)
    intact = encode(artifact.model, artifact.certificate, artifact.provenance)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "spoilt.safetensors"
        for number in range(start, end):
            rng = Random(f"{seed} {number}")
            kind = rng.choice(list(KINDS))
            place.write_bytes(KINDS[kind](rng, data))
            print(json.dumps([number, kind, CRASHED, 0]), flush=True)
            found, memory = measured(kind, intact, place)
            print(json.dumps([number, kind, found, memory]), flush=True)


def measured(kind: str, intact: bytes, place: Path) -> tuple[str, int]:
    """The outcome under both limits, and the most memory beyond that held before."""
    # Start the count of the most resident memory anew.
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmHWM")
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + MEMORY, resource.RLIM_INFINITY))
    # The default action ends the process even inside a library's loop.
    signal.alarm(SECONDS)
    found = outcome(kind, intact, place)
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return found, status("VmHWM") - before


def status(key: str) -> int:
    """An entry of this process's status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def results(file: Path, seed: int, start: int, end: int) -> Iterator[tuple[str, str, int]]:
    """Kind, outcome and memory of each spoilt file; a process that ends early is started again after it."""
    while start < end:
        command = [sys.executable, __file__, str(file), "--seed", str(seed), "--work", str(start), str(end)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        seen = {number: (kind, found, memory) for number, kind, found, memory in lines}
        if not seen:
            raise RuntimeError(run.stderr)
        last = max(seen)
        if run.returncode:
            ended = HUNG if run.returncode == -signal.SIGALRM else CRASHED
            seen[last] = (seen[last][0], ended, seen[last][2])
            print(f"{file.name}, seed {seed}, number {last}: {ended}\n{run.stderr[-800:]}", flush=True)
        yield from seen.values()
        start = last + 1


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=int, nargs=2)
    args = parser.parse_args()
    if args.work:
        work(args.files[0], args.seed, *args.work)
        return
    totals: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    most, most_times = 0, 0.0
    share = -(-args.count // len(args.files))
    for file in args.files:
        for start in range(0, share, CHUNK):
            for kind, found, memory in results(file, args.seed, start, min(share, start + CHUNK)):
                totals[kind][found] += 1
                most, most_times = max(most, memory), max(most_times, memory / file.stat().st_size)
    columns = (REFUSED, EQUAL, OTHER, WRONG, CRASHED, HUNG)
    print("| spoilt | tried | " + " | ".join(columns) + " |\n|---|" + "---|" * (len(columns) + 1))
    for kind, counts in [*totals.items(), ("all", sum(totals.values(), Counter()))]:
        print(f"| {kind} | {counts.total()} | " + " | ".join(str(counts[c]) for c in columns) + " |")
    print(
        f"most memory that reading one file took: {most / 1e6:.1f} MB, {most_times:.1f} times the intact file"
    )


if __name__ == "__main__":
    main()
