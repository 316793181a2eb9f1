"""A file is written whole or not at all."""

import os
from pathlib import Path

import pytest

from sim_compress.artifact import read, replace_files, write
from sim_compress.certificate import certify
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, Input, Output, Pad, Reshape, Term

from .models import feedforward_model, looped_model, same


def put(path: Path, model: ImplicitModel) -> int:
    return write(path, model, certify(model), {})


def fail(error: type[BaseException]):
    """A stand-in for a system call that fails."""

    def call(*_: object) -> None:
        raise error("stopped")

    return call


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    call: str, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "m.safetensors"
    put(target, looped_model())
    before = target.read_bytes()
    monkeypatch.setattr(os, call, fail(error))
    with pytest.raises(InputError if error is OSError else KeyboardInterrupt):
        put(target, feedforward_model())
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.safetensors"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_of_several_files_all_are_written_before_the_first_is_put_in_its_place(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    replace_files({first: b"old", second: b"old"})
    flush, flushed = os.fsync, list[int]()

    def fail_the_second(number: int) -> None:
        if flushed:
            raise error("stopped")
        flushed.append(number)
        flush(number)

    monkeypatch.setattr(os, "fsync", fail_the_second)
    with pytest.raises(InputError if error is OSError else KeyboardInterrupt):
        replace_files({first: b"new", second: b"new"})
    assert (first.read_bytes(), second.read_bytes()) == (b"old", b"old")
    assert sorted(os.listdir(tmp_path)) == ["first", "second"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "m.safetensors"
    put(target, looped_model())
    put(target, feedforward_model())
    assert same(read(target).model, feedforward_model())
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    put(tmp_path / "m.safetensors", looped_model())
    (tmp_path / "other").touch()
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_keeps_pointing_to_the_file_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "m.safetensors")
    put(tmp_path / "link", looped_model())
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "m.safetensors").is_file()


@pytest.mark.parametrize(
    "place", ["missing/m.safetensors", "file/m.safetensors", ".", "bad\0name", "x" * 300]
)
def test_a_place_that_cannot_be_written_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        put(tmp_path / place, looped_model())
    assert str(tmp_path) in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="needs a device file")
def test_a_device_is_not_replaced() -> None:
    with pytest.raises(InputError, match="something else there"):
        put(Path(os.devnull), looped_model())
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (Affine((1,) * 8 + (2,), (Term("u", (Reshape((1,) * 8 + (2,)),)),)), "at most 8 axes"),
        (Affine((2**31,), (Term("u", (Pad((0,), (2**31 - 2,)),)),)), "whole number in 1.."),
    ],
)
def test_what_no_reader_would_take_is_not_written(affine: Affine, message: str, tmp_path: Path) -> None:
    model = ImplicitModel((Input("u", (2,)),), (), (Output("y", affine),))
    with pytest.raises(InputError, match=rf"m.safetensors: not written.*{message}"):
        put(tmp_path / "m.safetensors", model)
    assert os.listdir(tmp_path) == []
