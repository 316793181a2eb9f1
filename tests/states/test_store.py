"""The live cut on disk and in memory: the same arrays, nothing left behind."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.states import Store


def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((3, 4, 5)).astype(np.float32) for _ in range(4)]


@pytest.mark.parametrize("bound", [0, 500, 10**6])
def test_what_is_put_is_got_whatever_the_bound(bound):
    with Store(bound) as store:
        for number, array in enumerate(arrays()):
            store.put("x", number, np.moveaxis(array, 0, -1))
        for number, array in enumerate(arrays()):
            np.testing.assert_array_equal(store.get("x", number), np.moveaxis(array, 0, -1))


def files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


def test_dropped_states_leave_the_disk_and_an_exception_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def interrupted() -> None:
        with Store(bound=0) as store:
            store.put("x", 0, np.zeros(3))
            store.put("y", 0, np.zeros(3))
            assert len(files(tmp_path)) == 2
            store.drop(["x"])
            assert len(files(tmp_path)) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_memory_that_dropped_states_held_is_used_again():
    array = np.zeros(100, np.float32)
    with Store(bound=array.nbytes) as store:
        for number in range(5):
            store.put("x", number, array)
            assert not isinstance(store.get("x", number), np.memmap)
            store.drop(["x"])
