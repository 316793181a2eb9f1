"""Rows with several uses: one row problem over all of them, one count, one place in every file."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest

from sim_compress import Settings, Teacher, compress, load, open_teacher
from sim_compress.artifact import read
from sim_compress.compression import Compressed, gram_costs, parts, prepared
from sim_compress.compression.allocation.channels import channels
from sim_compress.compression.rows.design import NETWORK
from sim_compress.compression.rows.problems import (
    DAMPING,
    PENALTIES,
    Limits,
    Regression,
    row_blocks,
    row_limits,
)
from sim_compress.core import Gram, solve
from sim_compress.core.engines import engine
from sim_compress.errors import InputError
from sim_compress.export import to_onnx
from sim_compress.model import ImplicitModel, chain_shape
from sim_compress.states import Visit, baseline_grams
from tests.core.problems import clarabel_optimum
from tests.frontend.graphs import assert_close, run, saved
from tests.shared_networks import FEATURES, NETWORKS, STEPS, WIDTH, layers, recurrent, towers
from tests.workers import WORKERS

SAMPLES = 96
GRAPHS = {
    "recurrent": recurrent,
    "layers": lambda: layers(width=48, inner=96),
    "towers": towers,
}


@cache
def opened(network: str) -> Teacher:
    with TemporaryDirectory() as folder:
        return open_teacher(saved(Path(folder), GRAPHS[network]()))


def inputs(teacher: Teacher, samples: int = SAMPLES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {i.name: rng.standard_normal((samples, *i.shape)).astype(i.dtype) for i in teacher.model.inputs}


@cache
def half(network: str) -> Compressed:
    return compress(opened(network), inputs(opened(network)), Settings(0.5, tune=2))


def uses(model: ImplicitModel) -> list[tuple[str, ...]]:
    """Those of rows that have several."""
    return [model.uses(n) for n in filter(model.owns, model.owners) if len(model.uses(n)) > 1]


def assert_tied(model: ImplicitModel, as_in: ImplicitModel) -> None:
    """All uses have the same arrays, and as many use the same as in another model."""
    assert uses(model) == uses(as_in) != []


@pytest.mark.parametrize("network", NETWORKS)
def test_all_uses_have_the_same_rows_after_tuning(network: str):
    found, teacher = half(network), opened(network)
    assert_tied(found.model, teacher.model)
    assert found.tuning.epochs
    assert found.sparsity == pytest.approx(0.5, abs=0.001)
    assert 1 - found.model.nnz / teacher.model.nnz == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("network", NETWORKS)
def test_artifact_and_exported_graph_agree_and_hold_the_rows_once(network: str, tmp_path: Path):
    found = half(network)
    found.save(tmp_path / "half.sim.safetensors")
    stored = read(tmp_path / "half.sim.safetensors").model
    assert_tied(stored, found.model)
    graph = to_onnx(stored)
    weights = [
        i for i in graph.graph.initializer if i.data_type == onnx.TensorProto.FLOAT and len(i.dims) > 1
    ]
    assert len(weights) == len({id(w) for _, a in stored.affines() for w in a.weights})
    given = inputs(opened(network), 5)
    session = load(tmp_path / "half.sim.safetensors")
    (wanted,), (found_outputs,) = run(graph, given).values(), session.run(None, given)
    assert_close(found_outputs, wanted)


def test_half_of_the_weights_take_at_most_six_tenths_of_the_file(tmp_path: Path):
    graph = layers(width=64, inner=128)
    path = saved(tmp_path, graph)
    teacher = open_teacher(path)
    size = compress(teacher, inputs(teacher), Settings(0.5, tune=0)).save(tmp_path / "half.sim.safetensors")
    assert size <= 0.6 * path.stat().st_size


@pytest.mark.parametrize("values", ["float16", "bfloat16"])
def test_rounded_rows_stay_one_set(values: str):
    teacher = opened("recurrent")
    for states in ("regenerated", "baseline"):
        found = compress(teacher, inputs(teacher), Settings(0.5, tune=0, values=values, states=states))
        assert_tied(found.model, teacher.model)


def stacked(teacher: Teacher, owner: str) -> tuple[np.ndarray, np.ndarray]:
    """What the rows read and what they are to give over all uses, side by side: (features, points) both."""
    batch = {n: np.moveaxis(u, 0, -1) for n, u in inputs(teacher).items()}
    reading = teacher.whole(batch)
    values, designs, targets = {**batch, **reading.states}, [], []
    affines = dict(teacher.model.affines())
    for name in teacher.model.uses(owner):
        terms = affines[name].weighted
        designs.append(np.concatenate([values[t.source] for t in terms]))
        assert all(
            chain_shape(t.maps, teacher.model.shapes[t.source]) == values[t.source].shape[:-1] for t in terms
        )
        targets.append(reading.preactivations[name])
    return np.concatenate(designs, axis=1), np.concatenate(targets, axis=1)


def regression(limits: Limits) -> Regression:
    """That of settings as they are, under a kappa constraint."""
    return Regression(PENALTIES["perspective"], DAMPING, limits, NETWORK)


def test_the_row_problem_of_a_set_is_that_of_the_stacked_data():
    teacher = opened("recurrent")
    ((owner, *_),) = uses(teacher.model)
    affine = dict(teacher.model.affines())[owner]
    found = compress(teacher, inputs(teacher), Settings(0.5, tune=0, states="baseline", allocation="alpha"))
    S, Z = stacked(teacher, owner)
    whole = Visit(owner, affine, (Gram.of(S, Z),))
    (wanted,) = row_blocks(whole, regression(row_limits(teacher.model, 0.99, NETWORK)))
    own = {n: a for n, a in teacher.model.affines() if n in teacher.model.uses(owner)}
    summed = dict.fromkeys([n for n in own if n != owner], owner)
    grams = baseline_grams(teacher, own, inputs(teacher), WORKERS, lambda _part: None, summed)
    (block,) = row_blocks(
        Visit(owner, affine, grams[owner]), regression(row_limits(teacher.model, 0.99, NETWORK))
    )
    np.testing.assert_allclose(block.problems.H, wanted.problems.H, atol=1e-6)
    np.testing.assert_allclose(block.problems.g, wanted.problems.g, atol=1e-6)
    alpha = 0.02
    solution = solve(block.problems, block.penalty, alpha, ball=block.ball)
    for row in range(3):
        optimum = clarabel_optimum(wanted.problems, wanted.penalty, alpha, row, wanted.ball)
        ours = (
            block.problems.datafit(solution.rows)[row] + alpha * block.penalty.value(solution.rows)[row].sum()
        )
        assert ours == pytest.approx(optimum, rel=1e-5)
    # The rows that come out are the least squares of the stacked data on their support.
    rows = dict(found.model.affines())[owner]
    W, bias = np.hstack([w.toarray() for w in rows.weights]), rows.bias
    assert bias is not None
    residual = Z - W @ S - bias[:, None]
    centred = S - S.mean(axis=1, keepdims=True)
    slope = np.abs(residual @ centred.T / S.shape[1])[W != 0]
    scale = np.sqrt(np.outer(Z.var(axis=1), S.var(axis=1)))[W != 0]
    # Damping pulls a little towards the network's own rows.
    assert np.all(slope < 0.1 * scale)


def test_rows_keep_the_kappa_constraint_of_every_use():
    teacher = opened("recurrent")
    ((owner, *others),) = uses(teacher.model)
    affines, limits = dict(teacher.model.affines()), row_limits(teacher.model, 0.99, NETWORK)
    tighter = {others[-1]: limits.bounds[others[-1]] * np.linspace(0.5, 2, WIDTH)}
    limits = replace(limits, bounds={**limits.bounds, **tighter})
    grams = baseline_grams(teacher, affines, inputs(teacher), WORKERS, lambda _part: None)

    def share(name: str, limits: Limits) -> np.ndarray:
        """What a unit of each entry takes of the radius, for the same row problems."""
        (block,) = row_blocks(Visit(name, affines[name], grams[owner]), regression(limits))
        assert block.ball is not None
        return block.ball.weights / block.ball.radius[:, None]

    # The first step reads inputs alone.
    alone = [share(name, replace(limits, uses={name: ((name, affines[name]),)})) for name in others]
    assert not np.allclose(alone[0], alone[-1])
    np.testing.assert_allclose(share(owner, limits), np.max(alone, axis=0), rtol=1e-12)


def test_an_engine_gives_the_same_bytes():
    teacher = opened("recurrent")
    asked = Settings(0.5, tune=0, states="baseline")
    alone = compress(teacher, inputs(teacher), asked)
    with engine("processes", 2) as workers:
        together = compress(teacher, inputs(teacher), asked, engine=workers)
    assert_tied(together.model, alone.model)
    for (_, one), (_, other) in zip(alone.model.affines(), together.model.affines(), strict=True):
        assert all(np.array_equal(a.data, b.data) for a, b in zip(one.weights, other.weights, strict=True))


def test_the_name_of_any_use_stands_for_the_rows():
    teacher = opened("recurrent")
    ((first, *_, last),) = uses(teacher.model)
    (part,) = parts(teacher.model, teacher.nodes, Settings(0.5, ignore=(last,)))
    assert first not in part.names
    (part,) = parts(teacher.model, teacher.nodes, Settings(0.5, only=(last,)))
    assert part.names == (first,)


def test_the_planned_work_counts_every_use_and_the_row_groups_once():
    teacher = opened("recurrent")
    costs = gram_costs(prepared(teacher, inputs(teacher), Settings(0.5)), Settings(0.5))
    assert costs.row_groups == 2
    read = WIDTH + FEATURES
    assert costs.operations == SAMPLES * (STEPS * read * (read + WIDTH) + WIDTH * (WIDTH + 4))


def test_an_artifact_with_shared_rows_is_compressed_further(tmp_path: Path):
    found = half("recurrent")
    found.save(tmp_path / "half.sim.safetensors")
    again = compress(tmp_path / "half.sim.safetensors", inputs(opened("recurrent")), Settings(0.3, tune=0))
    assert_tied(again.model, found.model)
    assert again.sparsity == pytest.approx(0.3, abs=0.002)


def test_channels_of_all_uses_leave_together():
    teacher = opened("recurrent")
    names = {n for n, _ in teacher.model.affines()}
    found = channels(teacher.model, names)
    ((first, *others),) = uses(teacher.model)
    for other in others:
        assert np.array_equal(found.rows[first], found.rows[other])
        for one, two in zip(found.columns[first], found.columns[other], strict=True):
            assert np.array_equal(one, two)


def test_rows_that_one_use_keeps_stay_in_all():
    # The first step reads an input, of which no channel can leave.
    teacher = opened("recurrent")
    with pytest.raises(InputError, match="no channel of this network can leave"):
        compress(teacher, inputs(teacher), Settings(0.2, pattern="channels"))


@pytest.mark.parametrize("network", ["layers", "towers"])
def test_networks_by_channels_stay_tied(network: str):
    teacher = opened(network)
    found = compress(teacher, inputs(teacher), Settings(0.2, tune=0, pattern="channels"))
    assert_tied(found.model, teacher.model)


def test_full_support_gives_every_use_rows_of_its_own():
    teacher = opened("recurrent")
    found = compress(teacher, inputs(teacher), Settings(0.5, support="full"))
    assert uses(found.model) == []


def test_shared_rows_are_the_same_parameters_in_torch():
    pytest.importorskip("torch")
    from sim_compress.runtime import Session

    model = half("recurrent").model
    module = Session(model).to_torch()
    ((owner, *others),) = uses(model)
    first = module.rows_of(owner)
    for other in others:
        rows = module.rows_of(other)
        assert rows.bias is first.bias
        assert all(one is two for one, two in zip(first.weights, rows.weights, strict=True))
    size = sum(p.numel() for p in module.parameters())
    assert model.nnz <= size <= model.nnz + WIDTH + 4
    assert_tied(module.to_model(), model)
