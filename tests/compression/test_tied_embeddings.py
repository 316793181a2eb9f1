"""Embeddings that score too: one set of rows, looked up in and multiplied with, counted and stored once."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import pytest

from sim_compress import Settings, Teacher, compress, load, open_teacher
from sim_compress.artifact import read
from sim_compress.compression import Compressed, parts
from sim_compress.compression.rows.embeddings import LOOKUP, with_lookups
from sim_compress.core import Gram
from sim_compress.core.engines import engine
from sim_compress.errors import DataError
from sim_compress.export import to_onnx
from sim_compress.model import ImplicitModel, shared, with_own_tables
from sim_compress.runtime import Session
from sim_compress.states import Visit, baseline_grams, regenerate
from tests.frontend.graphs import assert_close, run, saved
from tests.shared_networks import language_model
from tests.workers import WORKERS

SAMPLES, VOCABULARY, WIDTH, TOKENS = 64, 60, 8, 5
READERS = {"scores": ("embedding",)}
NETWORKS = {"plain": {}, "biased": {"bias": True}, "scaled": {"factor": 2.5}}


@cache
def opened(network: str = "plain") -> Teacher:
    with TemporaryDirectory() as folder:
        return open_teacher(saved(Path(folder), language_model(**NETWORKS[network])))


def ids(samples: int = SAMPLES, seed: int = 0, vocabulary: int = VOCABULARY) -> dict[str, np.ndarray]:
    return {"ids": np.random.default_rng(seed).integers(0, vocabulary, (samples, TOKENS))}


@cache
def half(network: str = "plain") -> Compressed:
    return compress(opened(network), ids(), Settings(0.5, tune=2))


def table(model: ImplicitModel) -> Any:
    """What the only lookup reads."""
    ((lookup,),) = (a.lookups for _, a in model.affines() if a.lookups)
    return lookup.table


def assert_tied(model: ImplicitModel) -> None:
    assert model.readers == READERS
    assert table(model) is dict(model.affines())["scores"].weights[0]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_table_and_the_rows_of_the_scores_are_one(network: str, tmp_path: Path):
    graph = language_model(**NETWORKS[network])
    teacher = open_teacher(saved(tmp_path, graph))
    assert_tied(teacher.model)
    inside = 4 * WIDTH * WIDTH + 2 * WIDTH
    others = inside + (VOCABULARY if network == "biased" else 0)
    assert teacher.model.parameters == teacher.model.nnz == VOCABULARY * WIDTH + others
    (wanted,) = run(graph, ids(3)).values()
    assert_close(Session(teacher.model).predict(ids(3))["scores"], wanted)


def test_a_table_that_differs_in_a_bit_stays_its_own():
    model = with_own_tables(opened().model)
    assert shared(model).readers == READERS
    own = table(model)
    assert isinstance(own, np.ndarray)
    own[7, 3] = np.nextafter(own[7, 3], np.float32(9))
    assert shared(model).readers == {}
    assert model.parameters == opened().model.parameters + VOCABULARY * WIDTH


def test_a_row_of_padding_is_no_obstacle(tmp_path: Path):
    graph = language_model()
    for tensor in graph.graph.initializer:
        if tensor.name == "E":
            padded = onnx.numpy_helper.to_array(tensor).copy()
            padded[0] = 0
            tensor.CopyFrom(onnx.numpy_helper.from_array(padded, "E"))
    assert_tied(open_teacher(saved(tmp_path, graph)).model)


@pytest.mark.parametrize("network", NETWORKS)
def test_they_are_one_after_tuning_and_count_once(network: str):
    found, teacher = half(network), opened(network)
    assert_tied(found.model)
    assert found.tuning.epochs
    assert found.sparsity == pytest.approx(0.5, abs=0.002)
    assert found.total_sparsity == found.sparsity
    assert found.model.parameters == found.model.nnz < teacher.model.nnz


@pytest.mark.parametrize("network", NETWORKS)
def test_artifact_graph_and_torch_module_hold_them_once_and_agree(network: str, tmp_path: Path):
    torch = pytest.importorskip("torch")
    half(network).save(tmp_path / "half.sim.safetensors")
    stored = read(tmp_path / "half.sim.safetensors").model
    assert_tied(stored)
    wanted = load(tmp_path / "half.sim.safetensors").predict(ids(5))["scores"]
    assert_close(Session(stored, kernel="scipy").predict(ids(5))["scores"], wanted)
    graph = to_onnx(stored)
    large = [t for t in graph.graph.initializer if np.prod(t.dims) == VOCABULARY * WIDTH]
    assert len(large) == 1
    assert_close(run(graph, ids(5))["scores"], wanted)
    module = Session(stored).to_torch()
    assert_close(module(torch.from_numpy(ids(5)["ids"])).detach().numpy(), wanted)
    assert sum(p.numel() for p in module.parameters()) <= stored.nnz + VOCABULARY + 3 * WIDTH
    assert_tied(module.to_model())


def test_the_exported_graph_is_read_with_one_set_again(tmp_path: Path):
    again = open_teacher(saved(tmp_path, to_onnx(half().model))).model
    assert list(again.readers) == ["scores"]
    assert again.parameters == half().model.parameters


@pytest.mark.parametrize("values", ["float32", "float16"])
def test_half_of_a_large_vocabulary_takes_at_most_six_tenths_of_the_file(values: str, tmp_path: Path):
    path = saved(tmp_path, language_model(vocabulary=1000, width=16))
    found = compress(path, ids(vocabulary=1000), Settings(0.5, tune=0, values=values))
    assert found.total_sparsity == pytest.approx(0.5, abs=0.002)
    assert found.save(tmp_path / "half.sim.safetensors") <= 0.6 * path.stat().st_size


@pytest.mark.parametrize(
    "asked",
    [
        Settings(0.5, tune=0, states="baseline"),
        Settings(0.5, tune=0, values="bfloat16"),
        Settings(0.5, tune=0, pattern="2:4"),
        Settings(0.5, tune=0, objective="l1", allocation="alpha"),
        Settings(0.1, tune=0, pattern="channels"),
    ],
    ids=["baseline", "bfloat16", "2:4", "l1", "channels"],
)
def test_every_way_to_compress_keeps_them_one(asked: Settings):
    found = compress(opened(), ids(), asked)
    assert_tied(found.model)
    # Patterns and channels say themselves what rows keep.
    if asked.pattern == "unstructured":
        assert found.sparsity == pytest.approx(asked.target_sparsity, abs=0.002)


def test_an_engine_gives_the_same_rows():
    asked = Settings(0.5, tune=0, states="baseline")
    alone = compress(opened(), ids(), asked)
    with engine("threads", 1) as workers:
        together = compress(opened(), ids(), asked, engine=workers)
    assert_tied(together.model)
    one, other = (dict(m.model.affines())["scores"].weights[0] for m in (alone, together))
    assert np.array_equal(one.data, other.data)
    assert np.array_equal(one.indices, other.indices)


def test_rows_that_match_exactly_leave_the_table_as_it_is(tmp_path: Path):
    teacher = open_teacher(saved(tmp_path, language_model(width=16)))
    found = compress(teacher, ids(2), Settings(0.1, matching="exact"))
    assert found.model.readers == {}
    (before,) = (a.lookups[0] for _, a in teacher.model.affines() if a.lookups)
    assert np.array_equal(table(found.model), before.dense_rows())


def test_the_row_problem_has_the_lookup_beside_the_scores():
    teacher = opened()
    affines = dict(teacher.model.affines())
    own = {"scores": affines["scores"]}
    (gram,) = baseline_grams(teacher, own, ids(), WORKERS, lambda _part: None)["scores"]
    ((whole,),) = with_lookups(teacher.model, own, {"scores": (gram,)}).values()
    E = affines["scores"].weights[0].toarray().astype(np.float64)
    rows = E + 0.1 * np.random.default_rng(0).standard_normal(E.shape)

    def missed(g: Gram) -> float:
        """Mean of the summed squares of all rows, biases eliminated."""
        quadratic = np.einsum("rj,jk,rk->", rows, g.scatter, rows)
        return float(quadratic - 2 * (rows * g.cross).sum() + g.target_scatter.sum()) / g.points

    energy = float(gram.target_variance.sum())
    lookups = LOOKUP * energy * ((rows - E) ** 2).sum() / (E**2).sum()
    assert missed(whole) == pytest.approx(missed(gram) + lookups)
    assert whole.target_variance.sum() == pytest.approx((1 + LOOKUP) * energy)
    assert np.array_equal(whole.feature_mean, gram.feature_mean)


def test_their_rows_come_first_and_all_blocks_see_them():
    teacher = opened()
    model = teacher.model
    own = dict(model.affines())
    grams = baseline_grams(teacher, {"scores": own["scores"]}, ids(), WORKERS, lambda _part: None)
    visited, halves = list[str](), own["scores"].weights[0] * 0.5

    def compressed(visit: Visit):
        visited.append(visit.name)
        if visit.name != "scores":
            return visit.affine
        return replace(visit.affine, terms=(replace(visit.affine.terms[0], weight=halves),))

    found = regenerate(teacher, ids(), compressed, WORKERS, lambda _part: None, ahead=grams)
    assert visited[0] == "scores"
    assert visited.count("scores") == 1
    assert table(found) is halves
    assert_tied(found)


def test_the_name_of_the_lookup_stands_for_the_rows():
    for name in ("scores", "embedding", "head"):
        (part,) = parts(opened().model, opened().nodes, Settings(0.5, ignore=(name,)))
        assert "scores" not in part.names, name


def test_an_artifact_with_tied_embeddings_is_compressed_further(tmp_path: Path):
    half().save(tmp_path / "half.sim.safetensors")
    again = compress(tmp_path / "half.sim.safetensors", ids(), Settings(0.3, tune=0))
    assert_tied(again.model)
    assert again.sparsity == pytest.approx(0.3, abs=0.003)


def test_an_id_without_a_row_is_refused_with_its_place():
    with pytest.raises(DataError, match=r"sample 0 holds the id 60, expected 0..59"):
        Session(half().model).predict({"ids": np.full((1, TOKENS), VOCABULARY)})


def test_a_gradient_in_torch_reaches_the_rows_from_both_uses():
    torch = pytest.importorskip("torch")
    model = half().model
    module = Session(model).to_torch()
    given = torch.from_numpy(ids(2)["ids"])
    weight = module.rows_of("scores").weights[0]
    gradients = []
    for outputs in (module(given), module.everything(given)["embedding"]):
        module.zero_grad(set_to_none=True)
        outputs.sum().backward()
        gradients.append(weight.values.grad)
    assert all(g is not None and np.any(g.numpy()) for g in gradients)
