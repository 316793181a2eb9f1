"""Whole networks, trained by others and by us, are exact and have the tied rows they should."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sim_compress.frontend import Teacher, load_teacher
from sim_compress.frontend.weights import whole
from sim_compress.runtime import Session
from tests.frontend.graphs import ROOT, SHARED, assert_close, run

# file: largest input value, blocks, nonzeros of M
OURS = {"fashion_mlp": (255, 3, 53_018), "resnet20": (255, 19, 271_306)}
RESNETS = {
    "cifar10_resnet20": (1, 19, 271_594),
    "cifar10_resnet20_optA": (1, 19, 269_034),
    "cifar100_resnet20": (1, 19, 277_444),
}
OTHERS = {
    "ACASXU_run2a_1_1_batch_2000": (1, 6, 13_305),
    "Convnet_maxpool": (1, 2, 11_690),
    "cifar10_small": (1, 4, 85_218),
    "ffnnSIGMOID__Point_6x200": (1, 6, 360_010),
    "mnist-net_256x2": (1, 2, 269_322),
    "mscn_128d": (1, 14, 102_529),
    "resnet_4b": (1, 10, 123_670),
    "vit_pgd_2_3_16": (1, 19, 74_938),
}


def _inputs(teacher: Teacher, samples: int, largest: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {i.name: largest * rng.random((samples, *i.shape), np.float32) for i in teacher.model.inputs}


@pytest.fixture(autouse=True)
def _silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is printed, by no library either."""
    yield
    assert capfd.readouterr() == ("", "")


def _check(path: Path, largest: float, blocks: int, nonzeros: int) -> None:
    if not path.exists():
        pytest.skip(f"{path.name} is absent")
    teacher = load_teacher(path)
    assert len(teacher.model.blocks) == blocks
    assert teacher.model.nnz == nonzeros
    inputs = _inputs(teacher, 2, largest)
    single = [run(path, {n: u[i : i + 1] for n, u in inputs.items()}) for i in range(2)]
    found = Session(teacher.model).predict(inputs)
    cleaned = run(whole(teacher.graph, teacher.weights), inputs)
    for name in teacher.outputs:
        expected = np.concatenate([s[name] for s in single])
        assert_close(found[name], expected)
        assert_close(cleaned[name], expected)


@pytest.mark.parametrize(("name", "facts"), OURS.items(), ids=OURS)
def test_our_networks_are_exact(name: str, facts: tuple[float, int, int]) -> None:
    _check(ROOT / f"models/{name}.onnx", *facts)


@pytest.mark.parametrize(("name", "facts"), RESNETS.items(), ids=RESNETS)
def test_published_residual_networks_are_exact(name: str, facts: tuple[float, int, int]) -> None:
    _check(SHARED / f"{name}.onnx", *facts)


@pytest.mark.parametrize(("name", "facts"), OTHERS.items(), ids=OTHERS)
def test_networks_nobody_here_wrote_are_exact(name: str, facts: tuple[float, int, int]) -> None:
    _check(SHARED / f"onnx/{name}.onnx", *facts)


def test_a_residual_network_has_one_row_per_output_channel() -> None:
    path = SHARED / "cifar10_resnet20.onnx"
    if not path.exists():
        pytest.skip("../shared/models is absent")
    model = load_teacher(path).model
    rows = [b.affine.rows for b in model.blocks]
    assert rows == [16] * 7 + [32] * 6 + [64] * 6
    skips = [t for b in model.blocks for t in b.affine.terms if t.weight is None]
    assert len(skips) == 7
