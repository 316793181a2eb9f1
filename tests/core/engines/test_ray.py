"""The ray engine keeps the same promises where ray is installed; which cluster it takes, with a stand-in."""

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sim_compress.core.engines import engine
from sim_compress.errors import InputError, MissingExtraError, SolverError
from tests.core.engines import functions


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="the ray extra is not installed")
    with engine("ray", 2) as workers:
        yield workers


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r"engine 'ray' needs .* 'sim-compress\[ray\]'"),
        engine("ray"),
    ):
        pass


def test_results_are_ordered_and_have_the_bytes_of_the_serial_engine(cluster):
    shared = {"S": np.asfortranarray(np.random.default_rng(0).standard_normal((300, 357)))}
    tasks = [1.0, 0.5, 3.0]
    with engine("serial") as alone:
        expected = alone.map(functions.linear_algebra, tasks, shared)
    found = cluster.map(functions.linear_algebra, tasks, shared)
    assert [[a.tobytes() for a in arrays] for arrays in found] == [
        [a.tobytes() for a in arrays] for arrays in expected
    ]


def test_the_first_failing_task_is_raised_with_its_number_and_message(cluster):
    with pytest.raises(InputError, match="row 2") as raised:
        cluster.map(functions.fail_from_two, range(4))
    assert str(raised.value) == "row 2 is bad"
    assert raised.value.__notes__[-1] == "This was task 3 of 4."


def test_a_killed_worker_is_a_named_error_and_the_engine_works_on(cluster):
    with pytest.raises(SolverError, match="the cluster lost task 2"):
        cluster.map(functions.die, range(2))
    assert cluster.map(functions.double, [1, 2, 3]) == [2, 4, 6]


class Clusters:
    """Stands for ray: what `init` was asked, and what it finds."""

    def __init__(self, found: Exception | None = None) -> None:
        self.asked: list[dict[str, object]] = []
        self.ended = 0
        self._found = found

    def is_initialized(self) -> bool:
        return False

    def init(self, address: str, **options: object) -> None:
        self.asked.append({"address": address} | options)
        if address == "auto" and self._found is not None:
            raise self._found

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 12.0}

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(gcs_address="10.0.0.1:6379")

    def shutdown(self) -> None:
        self.ended += 1


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Puts clusters in the place of ray, with nothing named or left of others."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def put(clusters: Clusters) -> Clusters:
        monkeypatch.setitem(sys.modules, "ray", clusters)
        return clusters

    return put


@pytest.fixture
def silent_port() -> int:
    """A port on this machine at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def left_behind(folder: Path, address: str) -> None:
    """The file of a cluster that was killed."""
    (folder / "ray").mkdir()
    (folder / "ray" / "ray_current_cluster").write_text(address)


def test_a_running_cluster_is_joined_and_named(stand_in):
    clusters = stand_in(Clusters())
    with engine("ray", 2) as workers:
        assert workers.notice == (
            "engine 'ray': joined the cluster at 10.0.0.1:6379, which has 12 processors"
        )
    # Ray refuses a number of processors for a cluster that runs already.
    (asked,) = clusters.asked
    assert (asked["address"], "num_cpus" in asked, clusters.ended) == ("auto", False, 1)


def test_without_a_running_cluster_one_is_started_and_that_is_said(stand_in):
    clusters = stand_in(Clusters(ConnectionError("none found")))
    with engine("ray", 2) as workers:
        assert workers.notice == (
            "engine 'ray': started a cluster of its own on this machine, with 2 processors"
        )
    assert [(a["address"], a.get("num_cpus")) for a in clusters.asked] == [("auto", None), ("local", 2)]


def test_a_cluster_of_its_own_can_be_asked_for(stand_in, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    clusters = stand_in(Clusters())
    with engine("ray", 2):
        assert [a["address"] for a in clusters.asked] == ["local"]


def test_what_a_killed_cluster_left_is_not_waited_for(stand_in, tmp_path, silent_port):
    left_behind(tmp_path, f"127.0.0.1:{silent_port}")
    clusters = stand_in(Clusters())
    with engine("ray", 2):
        assert [a["address"] for a in clusters.asked] == ["local"]


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_named_cluster_that_does_not_answer_is_one_line(stand_in, monkeypatch, silent_port, scheme):
    monkeypatch.setenv("RAY_ADDRESS", f"{scheme}127.0.0.1:{silent_port}")
    clusters = stand_in(Clusters())
    told = rf"cluster {scheme}127\.0\.0\.1:{silent_port} cannot be joined .*refused.*RAY_ADDRESS"
    with pytest.raises(InputError, match=told), engine("ray", 2):
        pass
    assert clusters.asked == []


@pytest.mark.parametrize("error", [RuntimeError("Version mismatch:\nRay 1 and 2"), ValueError("no address")])
def test_a_cluster_that_refuses_is_one_line(stand_in, error):
    stand_in(Clusters(error))
    with pytest.raises(InputError, match=" ".join(str(error).split())) as refused, engine("ray", 2):
        pass
    assert "\n" not in str(refused.value)
