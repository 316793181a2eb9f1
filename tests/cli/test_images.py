"""Folders of images: pixels keep their own range, whatever the file holds, or the file is refused by name."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sim_compress.cli.data.images import read_images
from sim_compress.cli.data.pixels import Scaling
from sim_compress.errors import DataError
from sim_compress.model import Input

GREY, COLOUR = Input("u", (1, 4, 6)), Input("u", (3, 4, 6))
WORDS = (np.arange(24, dtype=np.uint16) * 2800).reshape(4, 6)
BYTES = (np.arange(24, dtype=np.uint8) * 10).reshape(4, 6)


@pytest.fixture
def photos(tmp_path) -> Path:
    """An empty folder."""
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_images_of_16_bits_keep_their_own_range(photos, suffix):
    Image.fromarray(WORDS).save(photos / f"x.{suffix}")
    u, done = read_images(photos, GREY, None)
    assert u.dtype == np.float32
    assert np.array_equal(u[0, 0], WORDS)
    assert done.endswith("grey, resized to 6x4, pixels 0..65535")


def test_mean_and_std_are_of_parts_of_the_largest_pixel_whatever_the_depth(photos):
    Image.fromarray(WORDS).save(photos / "x.png")
    u, done = read_images(photos, GREY, Scaling((0.25,), (0.5,)))
    np.testing.assert_allclose(u[0, 0], (WORDS / 65535 - 0.25) / 0.5, rtol=1e-5, atol=1e-6)
    assert "pixels as (pixel / 65535 - 0.25) / 0.5" in done


def test_grey_of_16_bits_fills_all_channels_of_a_colour_input(photos):
    Image.fromarray(WORDS).save(photos / "x.png")
    u, _ = read_images(photos, COLOUR, None)
    assert np.array_equal(u[0], np.stack([WORDS] * 3))


def test_images_of_16_bits_are_resized_and_turned_like_others(photos):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(WORDS).save(photos / "a.png", exif=exif)
    Image.fromarray(np.full((9, 5), 40000, np.uint16)).save(photos / "b.png")
    (turned, resized), _ = read_images(photos, GREY, None)
    assert np.array_equal(turned[0], WORDS[::-1, ::-1])
    assert np.array_equal(resized[0], np.full((4, 6), 40000))


def test_two_depths_in_one_folder_are_refused_with_a_file_of_each(photos):
    Image.fromarray(BYTES).save(photos / "a.png")
    Image.fromarray(WORDS).save(photos / "b.png")
    with pytest.raises(DataError, match=r"b\.png: has pixels in 0\.\.65535, and .*a\.png in 0\.\.255"):
        read_images(photos, GREY, None)


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        (Scaling((123.7,), (58.4,)), r"up to 123\.7 look written for pixels in 0\.\.255.*pixels / 65535"),
        (Scaling((70000.0,), (2000.0,)), r"holds 70000, and pixels reach from 0 to 65535"),
    ],
)
def test_numbers_for_pixels_of_another_depth_are_refused(photos, scaling, words):
    Image.fromarray(WORDS).save(photos / "x.png")
    with pytest.raises(DataError, match=words):
        read_images(photos, GREY, scaling)


def test_numbers_for_pixels_of_16_bits_are_understood(photos):
    Image.fromarray(WORDS).save(photos / "x.png")
    u, done = read_images(photos, GREY, Scaling((32000.0,), (2000.0,)))
    np.testing.assert_allclose(u[0, 0], (WORDS - 32000.0) / 2000, rtol=1e-5)
    assert "pixels as (pixel - 32000) / 2000" in done


def with_alpha() -> Image.Image:
    return Image.merge("LA", [Image.fromarray(BYTES), Image.fromarray(BYTES // 2)])


SAME: dict[str, Callable[[], Image.Image]] = {
    "grey": lambda: Image.fromarray(BYTES),
    "colour": lambda: Image.fromarray(BYTES).convert("RGB"),
    "palette": lambda: Image.fromarray(BYTES).convert("P"),
    "grey with transparency": with_alpha,
    "colour with transparency": lambda: with_alpha().convert("RGBA"),
}


@pytest.mark.parametrize("kind", SAME)
@pytest.mark.parametrize("expected", [GREY, COLOUR], ids=["to grey", "to colour"])
def test_grey_pixels_are_the_same_in_every_kind_of_file(photos, kind, expected):
    SAME[kind]().save(photos / "x.png")
    u, _ = read_images(photos, expected, None)
    assert u.dtype == np.uint8
    # A palette's conversion to grey rounds.
    assert np.abs(u[0].astype(int) - BYTES).max() <= 1


def test_pixels_of_one_bit_are_black_and_white(photos):
    Image.fromarray(BYTES > 100).save(photos / "x.png")
    assert np.array_equal(read_images(photos, GREY, None)[0][0, 0], 255 * (BYTES > 100))


def test_printers_colours_become_those_of_a_screen(photos):
    red = np.zeros((4, 6, 4), np.uint8)
    red[..., 1:3] = 255
    Image.fromarray(red, mode="CMYK").save(photos / "x.tif")
    assert np.array_equal(read_images(photos, COLOUR, None)[0][0, :, 0, 0], [255, 0, 0])


def floats(path: Path) -> None:
    Image.fromarray(BYTES.astype(np.float32)).save(path / "x.tif")


def long_numbers(path: Path) -> None:
    Image.fromarray(BYTES.astype(np.int32)).save(path / "x.tif")


def several(path: Path) -> None:
    frames = [Image.fromarray(BYTES // n) for n in (1, 2, 3)]
    frames[0].save(path / "x.tif", save_all=True, append_images=frames[1:])


def moving(path: Path) -> None:
    frames = [Image.fromarray(BYTES // n) for n in (1, 2)]
    frames[0].save(path / "x.gif", save_all=True, append_images=frames[1:])


def cut_short(path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(path / "x.png")
    data = (path / "x.png").read_bytes()
    (path / "x.png").write_bytes(data[: len(data) // 2])


def without_bytes(path: Path) -> None:
    (path / "x.png").touch()


REFUSED = {
    floats: "floating-point numbers, whose range no file tells",
    long_numbers: "whole numbers of 32 bits",
    several: "holds 3 pictures",
    moving: "holds 2 pictures",
    cut_short: "is not a readable image",
    without_bytes: "is not a readable image",
}


@pytest.mark.parametrize("save", REFUSED)
def test_other_files_are_refused_by_name(photos, save):
    save(photos)
    with pytest.raises(DataError, match=rf"photos/x\.\w+: .*{REFUSED[save]}"):
        read_images(photos, GREY, None)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp", "ppm"])
def test_damaged_files_are_read_or_refused_and_nothing_else(photos, suffix):
    rng = np.random.default_rng(0)
    path = photos / f"x.{suffix}"
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    whole = path.read_bytes()
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 120), 4):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            u, _ = read_images(photos, COLOUR, None)
        except DataError as error:
            told = str(error)
        else:
            assert u.shape == (1, 3, 4, 6)
            continue
        assert str(path) in told


def test_a_folder_with_the_name_of_an_image_is_looked_into(photos):
    (photos / "set.png").mkdir()
    Image.fromarray(BYTES).save(photos / "set.png" / "x.png")
    assert len(read_images(photos, GREY, None)[0]) == 1


@pytest.mark.parametrize(
    ("mean", "std", "formula"),
    [
        ("0.5", "0.25", None),
        ("1", "1", None),
        ("0.5", "2", None),
        ("123.7", "58.4", "(pixel - 123.7) / 58.4"),
        ("0", "255", "(pixel - 0) / 255"),
        ("123.7", None, "(pixel - 123.7) / 1"),
    ],
)
def test_numbers_above_one_are_taken_for_pixels_as_they_are_and_that_is_said(run, mean, std, formula):
    Path("photos").mkdir()
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 6), np.uint8)
        Image.fromarray(pixels).save(f"photos/{number:02}.png")
    options = ["--data", "photos", "--mean", mean, *(["--std", std] if std else [])]
    code, out, err = run("net.onnx", "--dry-run", "--json", *options)
    assert code == 0, err
    notices = json.loads(out)["notices"]
    taken = [text for text in notices if "are taken as written for pixels as they are, (pixel - " in text]
    assert [formula in text for text in taken] == ([] if formula is None else [True])
    assert any(f"pixels as {formula or f'(pixel / 255 - {mean}) / {std}'}" in text for text in notices)
    assert run("evaluate", "none", "--data", "photos", *options[2:]).code == 2


def test_scaling_of_pixels_is_what_its_formula_says():
    pixels = np.array([0, 100, 200, 255], np.uint8).reshape(1, 2, 2, 1)
    scaled = Scaling((123.7,), (58.4,)).apply(pixels)
    np.testing.assert_allclose(scaled.ravel(), (pixels.ravel() - 123.7) / 58.4, rtol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ("0.485", "58.4", r"--std 58\.4 is for pixels in 0\.\.255 and --mean 0\.485 for pixels / 255"),
        ("123.7", "0.229", r"--mean 123\.7 is for pixels in 0\.\.255 and --std 0\.229 for pixels / 255"),
        ("0.5", "0", "--std holds a zero"),
        ("0.5", "-0.2", "--std holds -0.2: a standard deviation is above 0"),
        ("-120", "1", "--mean holds -120: no mean of pixels is below 0"),
        ("300", "60", "holds 300, and pixels reach from 0 to 255"),
        ("0.1,0.2", "1", "--mean holds 2 values for 1 channels"),
        ("0.5", "0.1,0.2,0.3", "--std holds 3 values for 1 channels"),
    ],
)
def test_numbers_that_no_pixels_have_are_refused(run, mean, std, words):
    Path("photos").mkdir()
    Image.fromarray(BYTES).save("photos/x.png")
    options = ("--data", "photos", "--mean=" + mean, "--std=" + std)
    code, out, err = run("net.onnx", "--target-sparsity", 40, *options)
    assert (code, out) == (2, "")
    assert words.replace("\\", "") in err
