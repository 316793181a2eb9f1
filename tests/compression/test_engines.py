"""Whatever the method: the same bytes from any engine of this machine and any number of workers."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sim_compress import Settings, compress, open_teacher
from sim_compress.core.engines import engine
from sim_compress.core.engines.stored import Stored
from sim_compress.states import Teacher
from tests.cli.networks import classifier, images
from tests.compression.odd_networks import dense
from tests.frontend.graphs import saved

WAYS = {
    "in order, tuned": {"tune": 2},
    "in order, moved targets": {"tune": 0, "nearest_rounds": 1},
    "robust, tuned": {"robust": 8.0, "tune": 2},
    "half precision": {"tune": 0, "values": "float16"},
    "baseline": {"states": "baseline"},
    "full support": {"support": "full"},
    "channels": {"pattern": "channels", "tune": 0},
    "l1 with a bound": {"objective": "l1", "kappa": 0.5, "tune": 0},
}
# No dense network, which full support asks for.
CONVOLUTIONS = {name: way for name, way in WAYS.items() if name != "full support"}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Teacher:
    """A convolution and dense rows."""
    return open_teacher(saved(tmp_path_factory.mktemp("network"), classifier()))


@pytest.fixture(scope="module", params=[("threads", 3), ("processes", 2)], ids=lambda p: p[0])
def several(request):
    with engine(*request.param) as chosen:
        yield chosen


def bytes_of(teacher: Teacher, folder: Path, settings: Settings, workers) -> bytes:
    path = folder / "model.sim.safetensors"
    compress(teacher, images(120), settings, engine=workers).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("way", CONVOLUTIONS)
def test_every_engine_gives_the_same_bytes(teacher, several, way, tmp_path):
    run = partial(bytes_of, teacher, tmp_path, Settings(0.5, **WAYS[way]))
    with engine("threads", 1) as alone:
        assert run(several) == run(alone)


def test_an_engine_that_is_given_is_not_ended(teacher, several):
    for _ in range(2):
        compress(teacher, images(40), Settings(0.3, tune=0), engine=several)
    assert list(several.map(abs, [-1, 2])) == [1, 2]


@pytest.mark.parametrize("way", ["in order, tuned", "in order, moved targets", "channels", "half precision"])
def test_nothing_that_workers_share_is_left(teacher, way):
    with engine("processes", 2) as workers:
        shared = workers.share(0)
        assert isinstance(shared, Stored)
        shared.drop()
        compress(teacher, images(60), Settings(0.5, **WAYS[way]), engine=workers)
        assert list(shared.file.parent.iterdir()) == []


@pytest.mark.parametrize("way", ["baseline", "full support"])
def test_a_dense_network_too(several, way, tmp_path):
    teacher = open_teacher(saved(tmp_path, dense((6, 12, 3), (True, True))))
    inputs = np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)

    def run(workers) -> bytes:
        path = tmp_path / "model.sim.safetensors"
        compress(teacher, inputs, Settings(0.5, **WAYS[way]), engine=workers).save(path)
        return path.read_bytes()

    with engine("threads", 1) as alone:
        assert run(several) == run(alone)
