"""Arrays on disk are arrays as any others, and leave nothing behind."""

import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest

from sim_compress import storage
from sim_compress.core.gram import Gram
from sim_compress.errors import InputError
from sim_compress.storage import IN_MEMORY, OnDisk, is_mapped, let_go, mapped_file, pieces, place_of


def test_what_is_written_stays_when_its_memory_is_let_go():
    store = OnDisk(least=0)
    array = store.zeros((300, 200))
    array += np.arange(200)
    store.release()
    np.testing.assert_array_equal(array, np.tile(np.arange(200.0), (300, 1)))
    let_go(array)
    array[7] *= 2
    store.release()
    assert array[7].sum() == 2 * np.arange(200).sum()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.bool_, np.int64])
def test_arrays_keep_type_shape_and_values(dtype):
    values = np.random.default_rng(0).integers(0, 2, (5, 7, 3)).astype(dtype)
    found = OnDisk(least=0).kept(values)
    assert is_mapped(found)
    assert (found.dtype, found.shape, found.flags.c_contiguous) == (values.dtype, values.shape, True)
    np.testing.assert_array_equal(found, values)
    assert OnDisk(least=0).kept(found) is found


def test_an_order_of_axes_that_decides_the_last_bits_of_products_stays():
    values = np.asfortranarray(np.ones((9, 5)))
    assert OnDisk(least=0).kept(values) is values


def test_small_arrays_and_other_values_stay_where_they_are():
    small = np.zeros(storage.LEAST // 8 - 1)
    store = OnDisk()
    assert store.kept(small) is small
    assert not is_mapped(store.zeros((10,)))
    assert store.kept("text") == "text"


def test_records_keep_their_fields():
    gram = Gram.of(np.random.default_rng(0).random((4, 9)), np.ones((2, 9)))
    found = OnDisk(least=0).kept(gram)
    assert is_mapped(found.scatter)
    assert is_mapped(found.cross)
    assert found.points == 9
    np.testing.assert_array_equal(found.scatter, gram.scatter)
    assert IN_MEMORY.kept(gram) is gram


def test_files_have_no_name_and_go_with_their_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    array = OnDisk(least=0).zeros((100,))
    assert list(tmp_path.iterdir()) == []
    held = len(storage._MAPS)
    del array
    gc.collect()
    assert len(storage._MAPS) < held


def test_a_folder_without_room_is_an_error_in_words(monkeypatch):
    def full(_file: int, _size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "_allocate", full)
    with pytest.raises(InputError, match=r"cannot hold 8,000 bytes .* set TMPDIR"):
        OnDisk(least=0).zeros((1000,))


def test_memory_that_is_let_go_is_no_longer_resident():
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("no /proc on this system")

    def resident() -> int:
        lines = status.read_text().splitlines()
        return sum(1024 * int(x.split()[1]) for x in lines if x.startswith(("RssFile", "RssShmem")))

    store = OnDisk()
    before = resident()
    array = store.zeros((2**22,))
    array[:] = 1
    held = resident()
    store.release()
    assert held - before >= array.nbytes
    assert resident() - before < array.nbytes // 4
    assert array.sum() == 2**22


def test_the_pieces_of_an_array_are_all_of_it(monkeypatch):
    monkeypatch.setattr(storage, "PIECE", 7)
    values = np.arange(60.0).reshape(5, 12)
    for array in (values, values.T, values[:0], np.array(3.0)):
        parts = list(pieces(array))
        assert all(len(part) <= 7 and np.shares_memory(part, array) for part in parts)
        assert sorted(x for part in parts for x in part) == sorted(array.ravel())


def test_the_place_of_an_array_in_its_file(tmp_path):
    (tmp_path / "file").write_bytes(np.arange(100, dtype=np.float32).tobytes())
    array = np.frombuffer(mapped_file(tmp_path / "file", steady=True), np.float32, 60, 40).reshape(6, 10)
    assert place_of(array) == ((tmp_path / "file").resolve(), 40)
    assert place_of(array[2:]) == ((tmp_path / "file").resolve(), 120)
    # Not in order, not in a file, or in one that is written to.
    assert place_of(array.T) is None
    assert place_of(array.copy()) is None
    assert place_of(np.frombuffer(mapped_file(tmp_path / "file"), np.float32)) is None
    assert place_of(OnDisk(least=0).zeros((3,))) is None


def test_writing_to_a_mapped_file_leaves_the_file_as_it_is(tmp_path):
    (tmp_path / "file").write_bytes(b"abcd")
    array = np.frombuffer(mapped_file(tmp_path / "file"), np.uint8)
    assert is_mapped(array)
    array[0] = 0
    assert (tmp_path / "file").read_bytes() == b"abcd"
