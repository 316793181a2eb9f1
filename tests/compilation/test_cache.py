"""Compiled code on disk: found again, made from the sources of today, never in the way."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import numba
import pytest
from numba import types
from numba.core import config

from sim_compress.compilation import cache
from sim_compress.compilation.cache import Folders, _Files
from tests.compilation.conftest import NAME
from tests.compilation.recording import recorded


def hits(kernel) -> int:
    return sum(kernel.stats.cache_hits.values())


def test_a_kernel_is_compiled_once_for_each_signature(tiny):
    assert tiny.start()(2) == 6
    again = tiny.start()
    assert (again(2), hits(again)) == (6, 1)
    assert (again(2.5), hits(again)) == (7.5, 1)
    assert len(tiny.entries) == 2


def test_code_is_made_again_when_a_part_in_another_file_changes(tiny):
    assert tiny.start()(2) == 6
    tiny.write(5)
    assert tiny.start()(2) == 10
    tiny.write(3)
    assert tiny.start()(2) == 6
    assert len(tiny.entries) == 1, "code of older sources is written over"


def test_an_imported_constant_is_a_source_too(tiny):
    (tiny.folder / "sizes.py").write_text("SIZE = 7\n")
    (tiny.folder / "factor.py").write_text(
        f"from sim_compress.compilation import part\nfrom {NAME} import (  # in brackets\n    sizes,\n)\n"
        "SIZE = sizes.SIZE\n\n@part\ndef factor():\n    return SIZE\n"
    )
    assert tiny.start()(2) == 14
    (tiny.folder / "sizes.py").write_text("SIZE = 8\n")
    assert tiny.start()(2) == 16


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[:10],
        lambda content: content[:-1],
        lambda content: bytes(len(content)),
        lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        lambda content: content + b"\0",
    ],
    ids=["empty", "header cut", "cut short", "zeros", "one bit", "longer"],
)
def test_a_damaged_file_is_dropped_and_compiled_again(tiny, damage):
    assert tiny.start()(2) == 6
    (entry,) = tiny.entries
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    again = tiny.start()
    assert (again(2), hits(again)) == (6, 0)
    mended = tiny.start()
    assert (mended(2), hits(mended)) == (6, 1)


def test_a_whole_file_that_numba_cannot_read_is_compiled_again(tiny, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(cache, "dumps", lambda _: b"no pickle")
        assert tiny.start()(2) == 6
    again = tiny.start()
    assert (again(2), hits(again)) == (6, 0)
    mended = tiny.start()
    assert (mended(2), hits(mended)) == (6, 1)


def test_a_folder_where_the_file_would_be_is_no_obstacle(tiny):
    assert tiny.start()(2) == 6
    (entry,) = tiny.entries
    entry.unlink()
    (entry / "something").mkdir(parents=True)
    with recorded() as lines:
        assert tiny.start()(2) == 6
    assert "compiled code is not kept" in lines[0]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG])
def test_where_writing_fails_it_runs_and_says_so_once(tiny, monkeypatch, number):
    def fails(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache, "_write", fails)
    with recorded() as lines:
        kernel = tiny.start()
        assert (kernel(2), kernel(2.5)) == (6, 7.5)
    (line,) = lines
    assert os.strerror(number) in line
    assert str(tiny.folder / "__pycache__") in line
    assert "NUMBA_CACHE_DIR" in line


def test_a_write_that_fails_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.Path, "replace", fails)
    with pytest.raises(OSError, match="No space"):
        cache._write(tmp_path / "entry.nbc", b"content")
    assert list(tmp_path.iterdir()) == []


def test_other_processors_and_features_have_files_of_their_own(tmp_path):
    files = _Files(Folders((tmp_path,), tmp_path), "kernel", "sim_compress.errors")
    processors = [("triple", "one", "+sse2"), ("triple", "other", "+sse2"), ("triple", "one", "+avx")]
    for processor in processors:
        files.save(((types.int64,), processor, ()), processor)
    for processor in processors:
        assert files.load(((types.int64,), processor, ())) == processor


def test_another_version_of_numba_reads_nothing(tiny, monkeypatch):
    assert tiny.start()(2) == 6
    monkeypatch.setattr(numba, "__version__", "0.0.0")
    other = tiny.start()
    assert (other(2), hits(other)) == (6, 0)


def test_writers_at_the_same_time_never_give_each_other_their_code(tmp_path):
    folders = Folders((tmp_path,), tmp_path)
    signatures = [types.int32, types.int64, types.float32, types.float64]

    def write_and_read(number: int) -> None:
        # As a process of its own: nothing is shared but the folder.
        files = _Files(folders, "kernel", "sim_compress.errors")
        for _ in range(50):
            own = ((signatures[number],), "processor", ())
            files.save(own, number)
            assert files.load(own) == number

    with ThreadPoolExecutor(len(signatures)) as pool:
        list(pool.map(write_and_read, range(len(signatures))))
    assert len(list(tmp_path.iterdir())) == len(signatures), "no temporary file is left"


def test_a_kernel_without_readable_sources_is_not_kept(tiny):
    kernel = tiny.start()
    kernel._cache._cache_file._module = "no.such.module"
    assert kernel(2) == 6
    assert tiny.entries == []


@pytest.mark.skipif(not hasattr(config, "CACHE_LOCATOR_CLASSES"), reason="this numba has no such setting")
def test_locators_that_the_user_names_are_used(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "theirs"))
    assert tiny.start()(2) == 6
    assert list((tmp_path / "theirs").rglob("*.nbc"))
    monkeypatch.setattr(config, "CACHE_DIR", "")
    with recorded() as lines:
        assert tiny.start()(2) == 6, "and where they find no folder it still runs"
    assert "no locator available" in lines[0]
