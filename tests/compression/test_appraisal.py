"""What is wrong with a compressed model is found on its calibration inputs, said once, and placed."""

import logging
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from sim_compress import Settings, compress, open_teacher
from sim_compress.activations import Activation
from sim_compress.compression.appraisal.outputs import appraised
from sim_compress.compression.compressed import check_finite
from sim_compress.errors import SolverError
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term
from sim_compress.runtime import Session
from sim_compress.states import ImplicitTeacher
from tests.compression.odd_networks import dense, lattice, weights
from tests.frontend.graphs import random, saved
from tests.workers import WORKERS


def chain(*scales: float, bias: float = 0.5) -> ImplicitModel:
    """Three layers of four units with ReLU, each with weights of its own scale, and an output."""
    blocks, source = [], "u"
    for i, scale in enumerate(scales):
        W = sparse.csr_array(np.float32(scale) * (np.abs(weights(4, 4, seed=i)) + np.float32(0.1)))
        rows = Affine((4,), (Term(source, (), W),), np.full(4, bias, np.float32))
        blocks.append(StateBlock(f"x{i}", rows, Activation("relu")))
        source = f"x{i}"
    output = Affine((2,), (Term(source, (), sparse.csr_array(weights(2, 4, seed=9))),))
    return ImplicitModel((Input("u", (4,)),), tuple(blocks), (Output("y", output),))


def teacher_of(model: ImplicitModel) -> ImplicitTeacher:
    return ImplicitTeacher(model, Path("chain"), 0, "")


LOGGER = "sim_compress.compression"
INPUTS = {"u": random(50, 4, seed=2) + 2}


def found(model: ImplicitModel, asked: float = 0.5, inputs=INPUTS):
    return appraised(teacher_of(chain(1, 1, 1)), model, inputs, {}, asked, WORKERS)


def test_the_network_itself_has_no_error():
    result = found(chain(1, 1, 1))
    assert result.errors == {"y": 0.0}
    assert result.findings == ()


def test_the_error_is_relative_to_the_variance_of_the_network_over_the_inputs():
    u = {"u": INPUTS["u"].T}
    wanted, ours = (teacher_of(chain(1, s, 1)).outputs(u)["y"].astype(float) for s in (1, 1.02))
    expected = ((ours - wanted) ** 2).sum() / wanted.var(axis=1).sum() / 50
    assert found(chain(1, 1.02, 1)).errors["y"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("place", range(3))
def test_a_constant_output_is_traced_to_the_first_constant_block(place):
    scales = [1.0, 1.0, 1.0]
    scales[place] = 0.0
    (finding,) = found(chain(*scales)).findings
    assert (finding.kind, finding.block) == ("constant output", f"x{place}")
    assert f"it begins in block 'x{place}'" in finding.text


@pytest.mark.parametrize("place", range(3))
def test_values_that_overflow_are_traced_to_their_block(place):
    scales = [1.0, 1.0, 1.0]
    scales[place] = 3e38
    result = found(chain(*scales))
    (finding,) = result.findings
    assert (finding.kind, finding.block) == ("not finite", f"x{place}")
    assert "for 50 of 50 calibration inputs" in finding.text
    assert result.errors == {"y": None}


def test_a_large_error_counts_up_to_half_sparsity_alone():
    model = chain(1, 3, 1)
    (finding,) = found(model, asked=0.5).findings
    assert (finding.kind, finding.block) == ("output error", "x1")
    assert found(model, asked=0.6).findings == ()


def test_an_output_that_does_not_vary_has_no_error_and_no_finding():
    result = found(chain(1, 1, 1), inputs={"u": np.repeat(INPUTS["u"][:1], 5, axis=0)})
    assert result.errors == {"y": None}
    assert result.findings == ()


def test_rows_that_are_not_finite_are_refused_by_block():
    with pytest.raises(SolverError, match="block 'x1': its rows are not finite"):
        check_finite(chain(1, np.inf, 1))


def test_python_users_are_told_by_the_log_and_the_artifact_keeps_it(tmp_path, caplog):
    teacher = open_teacher(saved(tmp_path, lattice()))
    u = random(100, 2)
    with caplog.at_level(logging.WARNING, LOGGER):
        assert compress(teacher, u, Settings(0.05)).findings == ()
        assert not [r for r in caplog.records if r.name == LOGGER]
        result = compress(teacher, u, Settings(0.05, allocation="uniform", pattern="block:2x2", tune=0))
    assert result.findings
    assert [r.getMessage() for r in caplog.records if r.name == LOGGER] == [f.text for f in result.findings]
    assert result.provenance["findings"] == [f.text for f in result.findings]


@pytest.mark.parametrize("pattern", ["unstructured", "channels"])
def test_every_compression_is_appraised(tmp_path, pattern):
    teacher = open_teacher(saved(tmp_path, dense((6, 20, 20, 3), (True, True, True))))
    u = random(200, 6)
    result = compress(teacher, u, Settings(0.3, pattern=pattern))
    wanted, ours = teacher.outputs({"x": u.T})["z2"].T, Session(result.model)(u)
    expected = ((ours - wanted) ** 2).sum() / wanted.var(axis=0).sum() / len(u)
    assert result.errors["z2"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("settings", [{}, {"states": "baseline"}, {"pattern": "channels"}, {"tune": 2}])
def test_the_rows_stage_ends_once_and_last(tmp_path, settings):
    teacher, told = open_teacher(saved(tmp_path, dense((6, 20, 3), (True, True)))), []

    def progress(stage: str, part: float) -> None:
        told.append((stage, part))

    compress(teacher, random(100, 6), Settings(0.3, **settings), progress)
    rows = [part for stage, part in told if stage == "rows"]
    assert told[-1] == ("rows", 1.0)
    assert max(rows[:-1]) < 1
    assert rows == sorted(rows)
