"""A network of more than 2 GiB read, compressed, written and exported: memory of each step, files on disk.

    python tools/bench/large_file.py --gigabytes 2.4 --folder /tmp/large

An embedding table of random numbers in external data, behind it dense rows that are compressed. Every step
runs in a process of its own: VmHWM counts pages of mapped files that happen to be in memory, which the system
takes back when it needs them; RssAnon, asked for every 20 ms, is what it cannot take back.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

WIDTH, HIDDEN, CLASSES, TOKENS, SAMPLES = 1024, 64, 16, 8, 256
PART = 2**14
STEPS = ("read", "compress", "export", "run")


def write(folder: Path, gigabytes: float) -> None:
    """The network, its table in `table.bin`, and ids."""
    rows = int(gigabytes * 1e9) // (4 * WIDTH)
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["looked_up"]),
        helper.make_node("ReduceMean", ["looked_up"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["mean", "first", "shift"], ["z"], transB=1),
        helper.make_node("Relu", ["z"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "second"], ["scores"], transB=1),
    ]
    small = {
        "first": rng.standard_normal((HIDDEN, WIDTH)) / 8,
        "shift": rng.standard_normal(HIDDEN),
        "second": rng.standard_normal((CLASSES, HIDDEN)),
    }
    constants = [onnx.numpy_helper.from_array(v.astype(np.float32), n) for n, v in small.items()]
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=(rows, WIDTH))
    table.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "table.bin", "offset": 0, "length": 4 * rows * WIDTH}.items():
        table.external_data.add(key=key, value=str(value))
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", TOKENS])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", CLASSES])],
        [table, *constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "network.onnx").write_bytes(model.SerializeToString())
    with (folder / "table.bin").open("wb") as file:
        for first in range(0, rows, PART):
            file.write(rng.standard_normal((min(PART, rows - first), WIDTH), np.float32).data)
    np.savez(folder / "ids.npz", ids=rng.integers(0, rows, (SAMPLES, TOKENS)))


def memory(key: str) -> int:
    """An entry of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def step(name: str, folder: Path) -> None:
    """One step, and as JSON what it took."""
    most = [memory("RssAnon")]

    def watch() -> None:
        while True:
            most[0] = max(most[0], memory("RssAnon"))
            time.sleep(0.02)

    threading.Thread(target=watch, daemon=True).start()
    began = time.process_time()
    ids = np.load(folder / "ids.npz")["ids"]
    from sim_compress import Settings, cli, compress, load, open_teacher

    if name == "read":
        open_teacher(folder / "network.onnx")
    elif name == "compress":
        compress(folder / "network.onnx", ids, Settings(0.6, tune=0)).save(folder / "a.safetensors")
    elif name == "export":
        assert cli.main(["export", str(folder / "a.safetensors"), "-o", str(folder / "sparse.onnx")]) == 0
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "sparse.onnx", providers=["CPUExecutionProvider"])
        (wanted,) = session.run(None, {"ids": ids})
        found = load(folder / "a.safetensors").run(None, {"ids": ids})[0]
        np.testing.assert_allclose(found, np.asarray(wanted), rtol=1e-4, atol=1e-4)
    took = {"processor": time.process_time() - began, "peak": memory("VmHWM"), "anonymous": most[0]}
    print(json.dumps(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.4)
    parser.add_argument(
        "--folder", type=Path, help="where files are written and left (default: one that goes)"
    )
    parser.add_argument("--step", choices=STEPS)
    arguments = parser.parse_args()
    if arguments.step:
        step(arguments.step, arguments.folder)
        return
    with tempfile.TemporaryDirectory() as own:
        folder = arguments.folder or Path(own)
        folder.mkdir(exist_ok=True)
        write(folder, arguments.gigabytes)
        print("| step | processor s | peak MB | of it anonymous MB |\n|---|---|---|---|")
        for name in STEPS:
            command = [sys.executable, __file__, "--step", name, "--folder", str(folder)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            took = json.loads(done.stdout.strip().splitlines()[-1])
            peak, anonymous = (round(took[key] / 1e6) for key in ("peak", "anonymous"))
            print(f"| {name} | {took['processor']:.1f} | {peak:,} | {anonymous:,} |", flush=True)
        for file in sorted(folder.iterdir()):
            print(f"{file.name}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
