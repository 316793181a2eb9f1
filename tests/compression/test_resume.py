"""A run that ended early goes on from its folder, to the bytes of one that nobody disturbed."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from sim_compress import Convex, Settings, Teacher, compress, open_teacher, sparsest, sweep
from sim_compress.compression import RunFolder
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume import folder as folders
from sim_compress.core.engines import engine
from sim_compress.errors import InputError
from tests.compression.odd_networks import ODD, dense
from tests.frontend.graphs import saved


class Stopped(KeyboardInterrupt):
    """The process ends here."""


class Stopping(RunFolder):
    """A folder after whose n-th result the process ends; every result is written."""

    def __init__(self, path: Path, results: int) -> None:
        super().__init__(path, least=0.0)
        self._left = results

    def put(self, key: str, fingerprint: str, base: str, kept: Kept, seconds: float) -> None:
        super().put(key, fingerprint, base, kept, seconds)
        self._left -= 1
        if not self._left:
            raise Stopped


def whole(path: Path) -> RunFolder:
    return RunFolder(path, least=0.0)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory) -> dict[str, Teacher]:
    folder = tmp_path_factory.mktemp("networks")
    made = {
        "dense": dense((6, 16, 12, 3), (True, False, True)),
        "shared": ODD["shared"](),
        "volumes": ODD["volumes"](),
    }
    found = {}
    for name, model in made.items():
        (folder / name).mkdir()
        found[name] = open_teacher(saved(folder / name, model))
    return found


def inputs(teacher: Teacher, samples: int = 60) -> np.ndarray:
    (u,) = teacher.model.inputs
    return np.random.default_rng(1).standard_normal((samples, *u.shape)).astype(np.float32)


def saved_bytes(compressed, path: Path) -> bytes:
    compressed.save(path)
    return path.read_bytes()


WAYS = {
    "default": {"tune": 2},
    "untuned": {"tune": 0},
    "half precision": {"values": "float16", "tune": 1},
    "one alpha": {"allocation": "alpha", "tune": 0},
    "tiles": {"pattern": "block:1x2", "tune": 0},
    "N:M": {"pattern": "2:4", "tune": 1},
    "channels": {"pattern": "channels", "tune": 1},
    "channels on baseline states": {"pattern": "channels:2", "states": "baseline"},
    "baseline": {"states": "baseline"},
    "baseline tuned": {"states": "baseline", "tune": 2},
    "full support": {"support": "full"},
    "by name": {"targets": {"x0": 0.3}, "tune": 1},
}


# Channels of rows that are shared cannot leave alone, and full support has no convolutions.
NETWORKS = [
    ("dense", *WAYS),
    ("shared", "default", "half precision", "baseline"),
    ("volumes", "default", "channels"),
]


@pytest.mark.parametrize(("network", "way"), [(name, way) for name, *ways in NETWORKS for way in ways])
def test_a_run_that_ends_after_any_result_goes_on_to_the_same_bytes(teachers, tmp_path, network, way):
    teacher = teachers[network]
    u = inputs(teacher)
    if way == "by name":
        settings = Settings(0.5, targets={next(n for n, _ in teacher.model.affines()): 0.3}, tune=1)
    else:
        settings = Settings(0.5, **WAYS[way])
    wanted = saved_bytes(compress(teacher, u, settings), tmp_path / "wanted")
    # Each time one result more than the last time is there to go on from, then all at once.
    path, ended, found = tmp_path / "a.run", 0, b""
    while ended < 100:
        try:
            with Stopping(path, 1) as folder:
                found = saved_bytes(compress(teacher, u, settings, folder=folder), tmp_path / "found")
            break
        except Stopped:
            ended += 1
    assert found == wanted
    assert 2 < ended < 100
    for results in range(1, ended):
        other = tmp_path / f"{results}.run"
        with pytest.raises(Stopped), Stopping(other, results) as folder:
            compress(teacher, u, settings, folder=folder)
        with whole(other) as folder:
            assert saved_bytes(compress(teacher, u, settings, folder=folder), tmp_path / "found") == wanted
            assert folder.told


def test_exact_rows_go_on_too(teachers, tmp_path):
    teacher, settings = teachers["dense"], Settings(0.05, matching="exact")
    u = inputs(teacher, 4)
    wanted = saved_bytes(compress(teacher, u, settings), tmp_path / "wanted")
    for results in (1, 2):
        with pytest.raises(Stopped), Stopping(tmp_path / "a.run", 1) as folder:
            compress(teacher, u, settings, folder=folder)
        assert len(list((tmp_path / "a.run").glob("*.safetensors"))) == results
    with whole(tmp_path / "a.run") as folder:
        assert saved_bytes(compress(teacher, u, settings, folder=folder), tmp_path / "found") == wanted


def test_an_engine_takes_the_row_groups_that_are_left(teachers, tmp_path):
    teacher, settings = teachers["dense"], Settings(0.5, states="baseline")
    u = inputs(teacher)
    wanted = saved_bytes(compress(teacher, u, settings), tmp_path / "wanted")
    # Three steps, then one row group of three.
    with pytest.raises(Stopped), Stopping(tmp_path / "a.run", 5) as folder:
        compress(teacher, u, settings, folder=folder)
    with whole(tmp_path / "a.run") as folder, engine("threads", 1) as workers:
        found = compress(teacher, u, settings, engine=workers, folder=folder)
    assert saved_bytes(found, tmp_path / "found") == wanted
    assert folder.told[-1] == "goes on after 1 of 3 row groups"


def test_the_user_is_told_where_a_run_goes_on(teachers, tmp_path):
    teacher, settings = teachers["dense"], Settings(0.5, tune=3)
    u = inputs(teacher)
    told = []
    for _ in range(20):
        folder = Stopping(tmp_path / "a.run", 1)
        with suppress(Stopped), folder:
            compress(teacher, u, settings, folder=folder)
        told += [text for text in folder.told if text not in told]
    assert told[:3] == [
        "taken from an earlier run: moments",
        "taken from an earlier run: moments, paths",
        "taken from an earlier run: moments, paths, curves",
    ]
    assert [text for text in told if "block" in text] == [f"goes on after block {n} of 3" for n in (1, 2, 3)]
    assert [text for text in told if "epoch" in text] == [f"goes on after epoch {n} of 3" for n in (1, 2, 3)]


def test_levels_that_are_done_are_taken_from_the_folder(teachers, tmp_path):
    teacher, levels, settings = teachers["dense"], (0.3, 0.6, 0.8), Settings(0.5, tune=1)
    u = inputs(teacher)
    wanted = [saved_bytes(c, tmp_path / "wanted") for c in sweep(teacher, u, settings, levels)]
    ended, found = 0, []
    while ended < 100:
        try:
            with Stopping(tmp_path / "a.run", 3) as folder:
                swept = sweep(teacher, u, settings, levels, folder=folder)
                found = [saved_bytes(c, tmp_path / "found") for c in swept]
            break
        except Stopped:
            ended += 1
    assert found == wanted
    assert 3 < ended < 100


def test_a_search_that_ended_early_ends_at_the_same_model(teachers, tmp_path):
    teacher, settings = teachers["dense"], Settings(0.5, tune=0)
    u = inputs(teacher)

    def drop(compressed) -> float:
        return compressed.settings.target_sparsity

    wanted = saved_bytes(sparsest(teacher, u, settings, drop, 0.4).compressed, tmp_path / "wanted")
    with pytest.raises(Stopped), Stopping(tmp_path / "a.run", 12) as folder:
        sparsest(teacher, u, settings, drop, 0.4, folder=folder)
    with whole(tmp_path / "a.run") as folder:
        found = sparsest(teacher, u, settings, drop, 0.4, folder=folder).compressed
    assert saved_bytes(found, tmp_path / "found") == wanted


@pytest.mark.parametrize("second", [0.8, 0.3], ids=["sparser", "denser"])
def test_another_sparsity_reuses_what_is_the_same_in_a_run_that_was_kept(
    teachers, tmp_path, monkeypatch, second
):
    teacher, path = teachers["dense"], tmp_path / "a.run"
    u = inputs(teacher)
    wanted = saved_bytes(compress(teacher, u, Settings(second, tune=1)), tmp_path / "wanted")
    with whole(path) as folder:
        compress(teacher, u, Settings(0.6, tune=1), folder=folder)
        folder.keep()
        folder.complete()
    monkeypatch.setattr("sim_compress.compression.steps.moments.baseline_grams", None)
    with whole(path) as folder:
        found = compress(teacher, u, Settings(second, tune=1), folder=folder)
        folder.complete()
    assert saved_bytes(found, tmp_path / "found") == wanted
    taken = folder.told[0]
    assert taken == f"taken from an earlier run: moments{', paths, curves' if second > 0.5 else ''}"
    # What was asked to be kept once stays.
    assert path.exists()


def test_other_settings_take_nothing_that_depends_on_them(teachers, tmp_path):
    teacher, path = teachers["dense"], tmp_path / "a.run"
    u = inputs(teacher)
    with whole(path) as folder:
        compress(teacher, u, Settings(0.6, tune=1), folder=folder)
    for other in (
        {"tune": 2},
        {"objective": "l1"},
        {"kappa": 0.5},
        {"states": "baseline"},
        {"allocation": "uniform"},
        {"pattern": "block:1x2"},
        {"values": "float16"},
        {"ignore": (teacher.model.outputs[0].name,)},
        {"support": "full"},
        {"nearest_rounds": 1},
    ):
        settings = Settings(0.6, **{"tune": 0, **other})
        wanted = saved_bytes(compress(teacher, u, settings), tmp_path / "wanted")
        with whole(path) as folder:
            assert saved_bytes(compress(teacher, u, settings, folder=folder), tmp_path / "found") == wanted


def test_a_finished_run_leaves_nothing_behind(teachers, tmp_path):
    teacher = teachers["dense"]
    with whole(tmp_path / "a.run") as folder:
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
        assert folder.results > 3
        folder.complete()
    assert list(tmp_path.iterdir()) == []


def test_work_that_is_as_soon_done_again_is_not_written(teachers, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "LEAST", 1e9)
    teacher = teachers["dense"]
    with RunFolder(tmp_path / "a.run") as folder:
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def left(teachers, tmp_path) -> Path:
    """The folder of a run that ended early."""
    teacher = teachers["dense"]
    with pytest.raises(Stopped), Stopping(tmp_path / "a.run", 5) as folder:
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
    return folder.path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def newest(folder: Path) -> Path:
    return max(folder.glob("*.safetensors"), key=lambda p: int(p.name.split(".")[-2]))


def rewritten(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    """The manifest with other entries."""
    (folder.parent / "victim.safetensors").write_text("mine")
    text = json.loads((folder / "manifest.json").read_text())
    text["entries"] = {key: change(entry) for key, entry in text["entries"].items()}
    (folder / "manifest.json").write_text(json.dumps(text))


DAMAGES = {
    "cut short": lambda f: newest(f).write_bytes(newest(f).read_bytes()[:-8]),
    "a bit": lambda f: newest(f).write_bytes(newest(f).read_bytes()[:-1] + b"\x01"),
    "missing": lambda f: newest(f).unlink(),
    "empty": lambda f: newest(f).write_bytes(b""),
    "no manifest": lambda f: (f / "manifest.json").write_text("{"),
    "list": lambda f: (f / "manifest.json").write_text("[]"),
    "another folder's file": lambda f: rewritten(f, lambda entry: entry | {"file": "../victim.safetensors"}),
    "a file of another kind": lambda f: rewritten(f, lambda entry: entry | {"file": "lock"}),
    "a field too many": lambda f: rewritten(f, lambda entry: entry | {"more": 1}),
    "no fields": lambda f: rewritten(f, lambda _: 3),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_named_and_left_alone(teachers, left, damage):
    DAMAGES[damage](left)
    before = contents(left)
    teacher = teachers["dense"]
    with (
        pytest.raises(InputError, match=r"a\.run: the run folder is damaged: .*--fresh"),
        whole(left) as folder,
    ):
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
    assert contents(left) == before
    with RunFolder(left, fresh=True, least=0.0) as folder:
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
        assert folder.told == []
        folder.complete()
    assert not left.exists()
    assert all(path.read_text() == "mine" for path in left.parent.glob("victim.*"))


def test_a_folder_of_another_network_or_other_data_is_left_alone(teachers, left):
    before = contents(left)
    for teacher, u in ((teachers["dense"], inputs(teachers["dense"], 50)), (teachers["shared"], None)):
        given = inputs(teacher) if u is None else u
        other = r"a\.run: holds a run with another (network|calibration data)"
        with pytest.raises(InputError, match=other), whole(left) as folder:
            compress(teacher, given, Settings(0.6), folder=folder)
    assert contents(left) == before


@pytest.mark.parametrize("name", ["numpy", "processor", "python", "source"])
def test_a_folder_of_another_environment_is_left_alone(teachers, left, name):
    manifest = left / "manifest.json"
    text = json.loads(manifest.read_text())
    text["run"][name] = "0.1"
    manifest.write_text(json.dumps(text))
    teacher = teachers["dense"]
    with pytest.raises(InputError, match=rf"another {name} \(0\.1, here "), whole(left) as folder:
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)


def test_a_process_that_was_killed_before_its_first_manifest_leaves_an_empty_run(teachers, left):
    (left / "manifest.json").unlink()
    teacher = teachers["dense"]
    with whole(left) as folder:
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
        assert folder.told == []
        folder.complete()
    assert not left.exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_that_is_no_run_folder_is_never_emptied(teachers, tmp_path, fresh):
    (tmp_path / "a.run").mkdir()
    (tmp_path / "a.run" / "thesis.tex").write_text("mine")
    teacher = teachers["dense"]
    folder = RunFolder(tmp_path / "a.run", fresh=fresh, least=0.0)
    with pytest.raises(InputError, match=r"expected a run folder, found no manifest\.json"), folder:
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
    assert contents(tmp_path / "a.run") == {"thesis.tex": b"mine"}


def test_two_processes_do_not_share_a_folder(teachers, left):
    teacher = teachers["dense"]
    with Stopping(left, 1) as first:
        with pytest.raises(Stopped):
            compress(teacher, inputs(teacher), Settings(0.6), folder=first)
        used = "another process works with this run folder"
        with pytest.raises(InputError, match=used), whole(left) as second:
            compress(teacher, inputs(teacher), Settings(0.6), folder=second)


def test_what_a_killed_process_left_between_two_renames_goes(teachers, left):
    (left / ".sim-compress-0123.tmp").write_bytes(b"half")
    (left / "60.rows.0.99.safetensors").write_bytes(b"not in the manifest")
    teacher = teachers["dense"]
    with whole(left) as folder:
        compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
    assert not {".sim-compress-0123.tmp", "60.rows.0.99.safetensors"} & contents(left).keys()


def test_a_run_whose_results_cannot_be_written_goes_on_without_them(teachers, tmp_path, monkeypatch):
    teacher = teachers["dense"]
    wanted = saved_bytes(compress(teacher, inputs(teacher), Settings(0.6)), tmp_path / "wanted")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "replace_files", full)
    with whole(tmp_path / "a.run") as folder:
        found = compress(teacher, inputs(teacher), Settings(0.6), folder=folder)
    assert saved_bytes(found, tmp_path / "found") == wanted
    (text,) = folder.told
    assert "results of steps are no longer kept, the run goes on without" in text
    assert "No space left" in text


def test_a_function_of_the_users_cannot_be_compared_with_an_earlier_one(teachers, tmp_path):
    teacher = teachers["dense"]
    settings, convex = Settings(0.6, solver="clarabel"), Convex(lambda v: v[0])
    with pytest.raises(InputError, match="leave the run folder out"), whole(tmp_path / "a.run") as folder:
        compress(teacher, inputs(teacher), settings, convex=convex, folder=folder)
