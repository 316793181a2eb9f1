"""The ray engine keeps the same promises where ray is installed; which cluster it takes, with a stand-in."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from sim_compress import Settings, open_teacher
from sim_compress.compilation.environment import environment
from sim_compress.core.engines import engine
from sim_compress.core.engines.cluster import check_nodes
from sim_compress.errors import InputError, MissingExtraError, SolverError
from tests.cli.networks import classifier
from tests.compression.test_engines import WAYS, bytes_of
from tests.core.engines import functions
from tests.core.engines.test_engines import (  # noqa: F401  # run on a cluster here
    features,
    test_an_engine_works_on_after_a_failed_task,
    test_an_engine_works_on_after_results_that_nobody_took,
    test_arrays_that_are_kept_lie_in_memory_as_they_were_made,
    test_arrays_that_are_kept_serve_later_tasks,
    test_every_engine_runs_tasks_at_one_thread,
    test_fewer_tasks_than_workers_are_done,
    test_no_tasks_give_no_results,
    test_results_come_in_the_order_of_the_tasks,
    test_results_have_the_same_bytes_in_every_engine,
    test_shared_arrays_are_read_only_to_other_processes,
    test_the_first_failing_task_is_raised_with_its_number_and_message,
)
from tests.frontend.graphs import saved


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="the ray extra is not installed")
    with engine("ray", 2) as workers:
        yield workers


@pytest.fixture
def each(cluster):
    """The engine of the tests that are imported: all that start a cluster are in this file, one at a time."""
    return cluster


@pytest.fixture
def pool(cluster):
    return cluster


@pytest.mark.parametrize("way", ["in order, tuned", "baseline", "channels"])
def test_a_compression_has_the_bytes_of_one_thread(cluster, tmp_path, way):
    teacher = open_teacher(saved(tmp_path, classifier()))
    settings = Settings(0.5, **WAYS[way])
    with engine("threads", 1) as alone:
        assert bytes_of(teacher, tmp_path, settings, cluster) == bytes_of(teacher, tmp_path, settings, alone)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r"engine 'ray' needs .* 'sim-compress\[ray\]'"),
        engine("ray"),
    ):
        pass


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("ahead", [None, 2])
def test_no_more_tasks_run_at_once_than_were_asked_for(ahead):
    """On a cluster that was joined and has more processors."""
    with engine("ray", 1) as one:
        found = list(one.map(functions.interval, range(4), ahead))
    assert all(end <= begin for (_, end), (begin, _) in pairwise(sorted(found)))


def test_a_task_that_runs_out_of_memory_is_tried_again_with_a_node_to_itself(stand_in):
    clusters = stand_in(Crowded(OutOfMemory("low"), 7))
    with engine("ray", 2) as workers:
        assert list(workers.map(functions.double, [1])) == [7]
    assert [asked.get("num_cpus") for asked in clusters.options_asked] == [None, 16]


def test_a_task_that_runs_out_of_memory_twice_is_a_named_error(stand_in):
    stand_in(Crowded(OutOfMemory("low"), OutOfMemory("still low")))
    told = "the cluster lost a task: still low\nWhen memory ran out, use fewer workers or larger nodes"
    with engine("ray", 2) as workers, pytest.raises(SolverError, match=told):
        list(workers.map(functions.double, [1]))


def test_a_task_whose_worker_is_killed_is_tried_again(cluster, tmp_path):
    assert list(cluster.map(functions.die_once, [tmp_path / "seen", tmp_path / "seen"])) == [1, 1]


def test_a_worker_that_always_dies_is_a_named_error_and_the_engine_works_on(cluster):
    with pytest.raises(SolverError, match="the cluster lost a task"):
        list(cluster.map(functions.die, range(2)))
    assert list(cluster.map(functions.double, [1, 2, 3])) == [2, 4, 6]


def test_a_node_that_is_lost_changes_nothing_but_time(tmp_path):
    """In a process of its own: only one cluster can be joined at a time."""
    pytest.importorskip("ray", reason="the ray extra is not installed")
    script = tmp_path / "job.py"
    script.write_text(LOSS)
    run = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines()[-1:] == ["30 [2.0, 5.0]"], run.stdout + run.stderr


ROOT = Path(__file__).parents[3]
# Kept results and tasks under way are lost with the second node.
LOSS = """
import numpy as np
from ray.cluster_utils import Cluster
from sim_compress.core.engines import engine
from tests.core.engines.functions import Scaled, scaled_to_keep, slow

nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = nodes.add_node(num_cpus=3)
with engine("ray", 4) as workers:
    shared = workers.share({"H": np.ones(300000)})
    tasks = [Scaled(shared, 2.0), Scaled(shared, 5.0)]
    kept = [k for _, k in workers.map_keeping(scaled_to_keep, tasks)]
    found = workers.map(slow, range(5))
    first = next(found)
    nodes.remove_node(second, allow_graceful=False)
    total = first + sum(found)
    print(total, [float(k.value["H"][0]) for k in kept])
nodes.shutdown()
"""


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

    def nodes(self) -> list[dict[str, object]]:
        return []

    def remote(self, **_: object) -> Callable[[object], object]:
        return lambda function: function

    def shutdown(self) -> None:
        self.ended += 1


class LostError(Exception):
    """As ray's RayError."""


class OutOfMemory(LostError):  # noqa: N818  # as ray calls it
    """As ray's OutOfMemoryError."""


class Crowded(Clusters):
    """A cluster whose answers are these, one after the other."""

    exceptions = SimpleNamespace(
        RayTaskError=ZeroDivisionError, OutOfMemoryError=OutOfMemory, RayError=LostError
    )

    def __init__(self, *answers: object) -> None:
        super().__init__(ConnectionError("none found"))
        self._answers, self.options_asked = list(answers), list[dict[str, object]]()

    def nodes(self) -> list[dict[str, object]]:
        return [] if not self.options_asked else [{"Alive": True, "Resources": {"CPU": 16}}]

    def remote(self, **_: object) -> Callable[[object], object]:
        def options(**asked: object) -> SimpleNamespace:
            self.options_asked.append(asked)
            return SimpleNamespace(remote=lambda *_: object())

        return lambda _: SimpleNamespace(options=options)

    def get(self, _: object) -> object:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


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


@pytest.mark.parametrize(
    "error",
    [RuntimeError("Version mismatch:\nRay 1 and 2"), ValueError("no address"), ImportError("no client")],
)
def test_a_cluster_that_refuses_is_one_line(stand_in, error):
    stand_in(Clusters(error))
    with pytest.raises(InputError, match=" ".join(str(error).split())) as refused, engine("ray", 2):
        pass
    assert "\n" not in str(refused.value)


class Node:
    """Stands for ray with one node, whose packages are of other releases."""

    class exceptions:  # noqa: N801  # as ray calls it
        class RayTaskError(Exception):
            cause = ModuleNotFoundError("No module named 'sim_compress'")

    def __init__(self, answer: dict[str, str] | None) -> None:
        self._answer = answer

    def nodes(self) -> list[dict[str, object]]:
        return [
            {
                "Alive": True,
                "Resources": {"CPU": 2.0},
                "NodeManagerAddress": "n",
                "NodeManagerHostname": "node7",
            }
        ]

    def remote(self, **_: object) -> Callable[[object], SimpleNamespace]:
        return lambda _: SimpleNamespace(remote=lambda: None)

    def get(self, _: object) -> dict[str, str]:
        if self._answer is None:
            raise self.exceptions.RayTaskError
        return self._answer


@pytest.mark.parametrize("package", ["sim-compress", "numpy", "python", "processor", "source"])
def test_a_node_with_another_release_is_refused_by_name(package):
    answer = environment() | {package: "0.0.1"}
    with pytest.raises(InputError, match=rf"node7 has {package} 0\.0\.1, this process .*same releases"):
        check_nodes(Node(answer))


def test_a_node_without_the_package_is_refused_by_name():
    with pytest.raises(InputError, match=r"node7 has no sim-compress .*install it"):
        check_nodes(Node(None))


def test_a_node_with_the_same_releases_is_taken():
    check_nodes(Node(environment()))
