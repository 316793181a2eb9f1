"""Allocation by output error: curves that fall, blocks that matter keep more, every network shape."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sim_compress import Settings, compress, open_teacher
from sim_compress.compression import Prepared, prepared
from sim_compress.compression.runs import Run
from sim_compress.core import Curve
from sim_compress.model import ImplicitModel
from sim_compress.runtime import Session
from tests.workers import WORKERS

MODELS = Path(__file__).parents[2] / "models"


def curves_of(ready: Prepared) -> Mapping[str, Curve]:
    """Of every block, at 50 %."""
    return Run(ready).surveyed(Settings(0.5), lambda _stage, _part: None, WORKERS)["curves"].curves


@pytest.fixture(scope="module")
def inputs(teacher):
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:256]
    return {teacher.model.inputs[0].name: images}


def test_every_blocks_error_falls_as_it_keeps_more(teacher, inputs):
    curves = curves_of(prepared(teacher, inputs, Settings(0.5)))
    assert set(curves) == {name for name, _ in teacher.model.affines()}
    for curve in curves.values():
        assert np.all(np.diff(curve.counts) > 0)
        assert curve.errors[0] > 10 * curve.errors[-1] > 0


def output_error(model: ImplicitModel, teacher: ImplicitModel, images: np.ndarray) -> float:
    y, wanted = Session(model)(images), Session(teacher)(images)
    return float(np.mean((y - wanted) ** 2) / np.var(wanted))


def test_outputs_are_nearer_to_the_teachers_than_with_one_alpha_or_one_sparsity(teacher, inputs):
    images = np.load(MODELS / "fashion_mnist.evaluation.npz")["images"][:1000]
    errors = {
        allocation: output_error(
            compress(teacher, inputs, Settings(0.8, allocation=allocation)).model, teacher.model, images
        )
        for allocation in ("output", "alpha", "uniform")
    }
    assert errors["output"] < errors["alpha"]
    assert errors["output"] < errors["uniform"]


def test_uniform_allocation_keeps_the_same_part_of_every_block(teacher, inputs):
    model = compress(teacher, inputs, Settings(0.6, allocation="uniform")).model
    sizes = dict(teacher.model.affines())
    densities = [
        sum(w.nnz for w in a.weights) / sum(w.nnz for w in sizes[name].weights) for name, a in model.affines()
    ]
    np.testing.assert_allclose(densities, densities[0], atol=0.01)


def test_blocks_of_a_loop_are_tried_in_their_equilibrium():
    teacher = open_teacher(MODELS / "fashion_implicit.sim.safetensors")
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:128].reshape(128, -1)
    for curve in curves_of(prepared(teacher, images, Settings(0.5))).values():
        assert curve.errors[-1] < curve.errors[0]
