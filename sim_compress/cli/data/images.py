"""A folder of images as one input array."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim_compress.cli.data.pixels import BYTE, WORD, Layout, Scaling, layout, pixel_words
from sim_compress.errors import DataError, MissingExtraError
from sim_compress.model import Input
from sim_compress.model.maps import Array

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
# What pillow raises on files that are damaged.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error, zlib.error)
# Formats whose grey pixels of 16 bits some versions of pillow hold as 32.
OF_16_BITS = ("PNG", "PPM")
# Photographs of telephones are files of several pictures, of which the first is the photograph.
PHOTOGRAPH = "MPO"


@dataclass(frozen=True, eq=False)
class _Picture:
    """Pixels (H, W, C) in 0..largest, float32 where they have 16 bits."""

    path: Path
    pixels: Array
    largest: int


def read_images(folder: Path, expected: Input, scaling: Scaling | None) -> tuple[Array, str]:
    """All images below a folder in the order of their paths, and what was done to them.

    Returns:
        (samples, *input shape) as uint8 pixels, or as float32 where they are scaled or have 16 bits; one
        sentence on it.

    Raises:
        MissingExtraError: pillow is not installed.
        DataError: the input is no image, there are no images, one cannot be read, or their depths differ.
    """
    form = layout(expected.shape)
    if form is None:
        raise DataError(
            f"{folder}: a folder of images needs an input with 1 or 3 channels, first or last; "
            f"{expected.name!r} has the shape {expected.shape}: give a .npz"
        )
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise DataError(f"{folder}: found no images (looked for {', '.join(sorted(SUFFIXES))})")
    pictures = [_read(path, form) for path in paths]
    largest = _largest(pictures)
    images = np.stack([picture.pixels for picture in pictures])
    scaled = images if scaling is None else scaling.apply(images, largest)
    colour = "grey" if form.channels == 1 else "RGB"
    done = (
        f"{len(paths)} images from {folder}, {colour}, resized to {form.width}x{form.height}, "
        f"{pixel_words(scaling, largest)}"
    )
    return form.arrange(scaled), done


def _largest(pictures: list[_Picture]) -> int:
    """The depth that all have; DataError names two that differ."""
    first = pictures[0]
    for picture in pictures:
        if picture.largest != first.largest:
            raise DataError(
                f"{picture.path}: has pixels in 0..{picture.largest}, and {first.path} in "
                f"0..{first.largest}: give images of one depth, or a .npz"
            )
    return first.largest


def _read(path: Path, form: Layout) -> _Picture:
    """One image, upright and of the input's size."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise MissingExtraError("pillow", "images", "reading images") from error
    try:
        # What pillow warns of and reads all the same is no matter of its user.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            _check_plain(path, image)
            if largest := _depth(image):
                # Pillow clips at 255 when it converts these to bytes.
                grey = Image.fromarray(np.asarray(ImageOps.exif_transpose(image), np.float32))
                pixels = _resized(grey, form)[..., None].repeat(form.channels, axis=2)
                return _Picture(path, pixels, largest)
            upright = ImageOps.exif_transpose(image).convert("L" if form.channels == 1 else "RGB")
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: is not a readable image ({error})") from error
    pixels = _resized(upright, form).astype(np.uint8)
    return _Picture(path, pixels.reshape(form.height, form.width, form.channels), BYTE)


def _resized(image: "Image", form: Layout) -> Array:
    from PIL.Image import Resampling

    return np.asarray(image.resize((form.width, form.height), Resampling.BILINEAR))


def _depth(image: "Image") -> int | None:
    """The largest pixel of an image with 16 bits of grey, None for bytes."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in OF_16_BITS):
        return WORD
    return None


def _check_plain(path: Path, image: "Image") -> None:
    """Refuse what is not one picture with pixels of a known range.

    Raises:
        DataError: it is several, or its pixels are any numbers.
    """
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != PHOTOGRAPH:
        raise DataError(f"{path}: holds {frames} pictures: give one a file, or a .npz")
    if image.mode == "F" or (image.mode == "I" and not _depth(image)):
        kind = "floating-point numbers" if image.mode == "F" else "whole numbers of 32 bits"
        raise DataError(
            f"{path}: its pixels are {kind}, whose range no file tells: give a .npz of arrays as the "
            "network takes them"
        )
