"""A folder of images as one input array."""

from pathlib import Path

import numpy as np

from sim_compress.cli.data.pixels import PIXELS, Layout, Scaling, layout
from sim_compress.errors import DataError, MissingExtraError
from sim_compress.model import Input
from sim_compress.model.maps import Array

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def read_images(folder: Path, expected: Input, scaling: Scaling | None) -> tuple[Array, str]:
    """All images below a folder in the order of their paths, and what was done to them.

    Returns:
        (samples, *input shape) as uint8 pixels, or scaled as float32; one sentence on it.

    Raises:
        MissingExtraError: pillow is not installed.
        DataError: the input is no image, there are no images, or one cannot be read.
    """
    form = layout(expected.shape)
    if form is None:
        raise DataError(
            f"{folder}: a folder of images needs an input with 1 or 3 channels, first or last; "
            f"{expected.name!r} has the shape {expected.shape}: give a .npz"
        )
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"{folder}: found no images (looked for {', '.join(sorted(SUFFIXES))})")
    images = np.stack([_read(path, form) for path in paths])
    pixels = PIXELS if scaling is None else f"pixels as {scaling}"
    scaled = images if scaling is None else scaling.apply(images)
    colour = "grey" if form.channels == 1 else "RGB"
    done = f"{len(paths)} images from {folder}, {colour}, resized to {form.width}x{form.height}, {pixels}"
    return form.arrange(scaled), done


def _read(path: Path, form: Layout) -> Array:
    """One image as (H, W, C) bytes."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise MissingExtraError("pillow", "images", "reading images") from error
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("L" if form.channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: is not a readable image ({error})") from error
    resized = upright.resize((form.width, form.height), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.uint8).reshape(form.height, form.width, form.channels)
