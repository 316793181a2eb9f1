"""Bad input of the main job, case by case: how it comes about, the command line, what the message names."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from PIL import Image

from tests.cli.networks import classifier, images, labels, one_number

Case = tuple[Callable[[], object], tuple[object, ...], list[str]]
JOB = ("net.onnx", "--target-sparsity", 40)


def with_nan() -> np.ndarray:
    data = images().astype(np.float32)
    data[7, 0, 3, 3] = np.nan
    return data


def save_unsupported() -> None:
    graph = classifier()
    graph.graph.node.append(helper.make_node("RandomNormalLike", ["scores"], ["waves"], name="wave"))
    graph.graph.node.append(helper.make_node("EyeLike", ["waves"], ["end"], name="bell"))
    del graph.graph.output[:]
    graph.graph.output.append(helper.make_tensor_value_info("end", onnx.TensorProto.FLOAT, ["N", 3]))
    onnx.save(graph, "net.onnx")


def save_image_folder(channels: int = 3) -> None:
    Path("photos").mkdir()
    Image.fromarray(np.zeros((6, 6, channels), np.uint8)).save("photos/black.png")
    Path("photos/broken.png").write_bytes(b"no image")


def truncate(path: str) -> None:
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])


def zipped(path: str, member: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, b"no array")


MODEL_FILES = {
    "missing network": (lambda: Path("net.onnx").unlink(), JOB, ["net.onnx", "no such file"]),
    "truncated network": (lambda: truncate("net.onnx"), JOB, ["net.onnx"]),
    "empty network": (lambda: Path("net.onnx").write_bytes(b""), JOB, ["net.onnx", "empty"]),
    "not ONNX": (lambda: Path("net.onnx").write_text("# Title\n"), JOB, ["net.onnx", "not an ONNX"]),
    "a folder as network": (lambda: None, (".", *JOB[1:]), ["folder"]),
    "unsupported operators": (save_unsupported, JOB, ["RandomNormalLike", "wave", "EyeLike", "bell"]),
}
DATA = ("--data", "data.npz")
CALIBRATION = {
    "missing data": (lambda: None, (*JOB, "--data", "no.npz"), ["no.npz", "No such file"]),
    "truncated data": (
        lambda: (np.savez("data.npz", images=images()), truncate("data.npz")),
        (*JOB, *DATA),
        ["data.npz", "damaged"],
    ),
    "truncated npy": (
        lambda: (np.save("data.npy", images()), truncate("data.npy")),
        (*JOB, "--data", "data.npy"),
        ["data.npy", "damaged"],
    ),
    "text as data": (
        lambda: Path("data.npz").write_text("1, 2, 3"),
        (*JOB, *DATA),
        ["data.npz", "expected a .npz or .npy"],
    ),
    "pickled objects": (
        lambda: np.save("data.npy", np.array([{}], object)),
        (*JOB, "--data", "data.npy"),
        ["data.npy", "no plain arrays"],
    ),
    "wrong input name": (
        lambda: np.savez("data.npz", image=images(), other=images()),
        (*JOB, *DATA),
        ["data.npz", "images", "image, other"],
    ),
    "a torch file as data": (
        lambda: zipped("data.npz", "archive/data.pkl"),
        (*JOB, *DATA),
        ["data.npz", "archive/data.pkl", "numpy.savez"],
    ),
    "labels alone": (lambda: np.savez("data.npz", labels=labels()), (*JOB, *DATA), ["data.npz", "none"]),
    "wrong shape": (
        lambda: np.savez("data.npz", images=images()[..., :5]),
        (*JOB, *DATA),
        ["data.npz", "('samples', 1, 6, 6)", "5)"],
    ),
    "wrong rank": (
        lambda: np.savez("data.npz", images=images().reshape(40, 36)),
        (*JOB, *DATA),
        ["data.npz", "(40, 36)"],
    ),
    "a single number": (lambda: np.savez("data.npz", images=3.0), (*JOB, *DATA), ["data.npz", "single"]),
    "wrong dtype": (
        lambda: np.savez("data.npz", images=images().astype(complex)),
        (*JOB, *DATA),
        ["data.npz", "complex128"],
    ),
    "dates": (
        lambda: np.savez("data.npz", images=images().astype("datetime64[s]")),
        (*JOB, *DATA),
        ["data.npz", "datetime64"],
    ),
    "NaN": (
        lambda: np.savez("data.npz", images=with_nan()),
        (*JOB, *DATA),
        ["data.npz", "sample 7", "NaN"],
    ),
    "no samples": (lambda: np.savez("data.npz", images=images()[:0]), (*JOB, *DATA), ["no samples"]),
    "all samples the same": (
        lambda: np.savez("data.npz", images=np.ones_like(images())),
        (*JOB, *DATA),
        ["data.npz", "the same"],
    ),
    "bad data beside the network": (
        lambda: np.savez("net.calibration.npz", images=with_nan()),
        JOB,
        ["net.calibration.npz", "NaN"],
    ),
}
EVAL = ("--eval", "eval.npz")
EVALUATION = {
    "NaN to evaluate on": (
        lambda: np.savez("eval.npz", images=with_nan()),
        (*JOB, *EVAL),
        ["eval.npz", "NaN"],
    ),
    "too few labels": (
        lambda: np.savez("eval.npz", images=images(), labels=labels(39)),
        (*JOB, *EVAL),
        ["eval.npz", "(40,)", "(39,)"],
    ),
    "labels that are no classes": (
        lambda: np.savez("eval.npz", images=images(), labels=labels() + 1),
        (*JOB, *EVAL),
        ["eval.npz", "label 3", "3 scores"],
    ),
    "labels that are no whole numbers": (
        lambda: np.savez("eval.npz", images=images(), labels=labels() / 2),
        (*JOB, *EVAL),
        ["eval.npz", "whole numbers", "float64"],
    ),
    "labels twice": (
        lambda: np.save("labels.npy", labels(20)),
        (*JOB, "--eval", "evaluation.npz", "--labels", "labels.npy"),
        ["labels.npy", "evaluation.npz", "leave one"],
    ),
    "a labels file with other arrays": (
        lambda: np.savez("labels.npz", a=labels(), b=labels()),
        (*JOB, "--labels", "labels.npz"),
        ["labels.npz", "a, b"],
    ),
}
IMAGES = {
    "a folder without images": (lambda: Path("photos").mkdir(), (*JOB, "--data", "photos"), ["no images"]),
    "a broken image": (save_image_folder, (*JOB, "--data", "photos"), ["broken.png", "not a readable"]),
    "mean without images": (lambda: None, (*JOB, "--mean", "0.5"), ["--mean", "images"]),
    "std of zero": (save_image_folder, (*JOB, "--data", "photos", "--std", "0"), ["--std", "zero"]),
}
SETTINGS = {
    "sparsity 0": (lambda: None, ("net.onnx", "--target-sparsity", 0), ["removes nothing"]),
    "sparsity 1": (lambda: None, ("net.onnx", "--target-sparsity", 1), ["1 % or 100 %"]),
    "sparsity 100": (lambda: None, ("net.onnx", "--target-sparsity", 100), ["leaves nothing"]),
    "sparsity below the biases": (
        lambda: None,
        ("net.onnx", "--target-sparsity", "99.9"),
        ["99.9 %", "biases", "less than"],
    ),
    "kappa of 1": (lambda: None, (*JOB, "--kappa", "1"), ["kappa", "between 0 and 1"]),
    "kappa that is no number": (lambda: None, (*JOB, "--kappa", "nan"), ["kappa"]),
}
OUTPUT = {
    "a missing output folder": (lambda: None, (*JOB, "-o", "no/net.sim.safetensors"), ["no folder no"]),
    "a file as output folder": (
        lambda: None,
        (*JOB, "-o", "net.onnx/net.sim.safetensors"),
        ["no folder net.onnx"],
    ),
    "a folder as output": (lambda: Path("out").mkdir(), (*JOB, "-o", "out"), ["out", "not a regular file"]),
    "the current folder as output": (lambda: None, (*JOB, "-o", "."), ["--output .", "name of a file"]),
    "no name as output": (lambda: None, (*JOB, "-o", ""), ["--output .", "name of a file"]),
    "a folder in place of the report": (
        lambda: Path("net.sim.json").mkdir(),
        JOB,
        ["net.sim.json", "not a regular file"],
    ),
    "the network as output": (lambda: None, (*JOB, "-o", "./net.onnx"), ["overwrite net.onnx"]),
    "the data as output": (
        lambda: np.savez("data.npz", images=images()),
        (*JOB, *DATA, "-o", "data.npz"),
        ["overwrite data.npz"],
    ),
}
SWEEP = ("net.onnx", "--sweep", "20:60:20")
SEVERAL = {
    "a sparsity and a sweep": (
        lambda: None,
        (*JOB, "--sweep", "20:60:20"),
        ["--target-sparsity and --sweep"],
    ),
    "a sweep and a drop": (lambda: None, (*SWEEP, "--max-drop", "1"), ["--sweep and --max-drop"]),
    "nothing asked": (lambda: None, ("net.onnx",), ["--target-sparsity", "--sweep", "--max-drop"]),
    "a pattern alone": (
        lambda: None,
        ("net.onnx", "--target-sparsity", "scores=40"),
        ["--target-sparsity PART"],
    ),
    "levels to keep of no sweep": (lambda: None, (*JOB, "--keep"), ["--keep", "--sweep"]),
    "a range that runs backwards": (lambda: None, ("net.onnx", "--sweep", "60:20:20"), ["backwards"]),
    "a level below the biases": (
        lambda: None,
        ("net.onnx", "--sweep", "20,99.9"),
        ["99.9 %", "biases", "less than"],
    ),
    "a sweep of exact matching": (lambda: None, (*SWEEP, "--matching", "exact"), ["exact matching"]),
    "a sweep of nothing free": (
        lambda: None,
        (*SWEEP, "--target-sparsity", ".*=40"),
        ["every block has a target of its own"],
    ),
    "a folder in place of the figures": (
        lambda: Path("net.sweep.json").mkdir(),
        SWEEP,
        ["net.sweep.json", "not a regular file"],
    ),
    "a folder in place of a kept level": (
        lambda: Path("net.40.sim.safetensors").mkdir(),
        (*SWEEP, "--keep"),
        ["net.40.sim.safetensors", "not a regular file"],
    ),
    "a drop that is none": (lambda: None, ("net.onnx", "--max-drop", "-1"), ["--max-drop -1"]),
    "a drop without class scores": (
        lambda: onnx.save(one_number(), "net.onnx"),
        ("net.onnx", "--max-drop", "1"),
        ["no output is a vector of class scores", "total: 1", "--sweep"],
    ),
}
CASES: dict[str, Case] = MODEL_FILES | CALIBRATION | EVALUATION | IMAGES | SETTINGS | OUTPUT | SEVERAL
