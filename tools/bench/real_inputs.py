"""Inputs as networks from PyPI wheels see them in use, made of what lies on a Debian machine.

usage: python tools/bench/real_inputs.py KIND OUT.npz [--samples 96] [--shape 3x48x192] [--name x]

    files   the first and last 1,024 bytes of files below /usr, as magika reads them
    lines   rendered lines of text, scaled as rapidocr's rec does (needs PIL and the DejaVu fonts)
    turned  the same, every other one upside down, for rapidocr's cls
    pages   pieces of rendered pages, scaled as rapidocr's det does
    photos  crops of scikit-learn's two photographs, scaled as mtcnn does, channels last
    tones   chords of decaying harmonics in noise, as basic-pitch hears them

--shape is that of one sample where the network leaves it open, --name the network's input.
"""

import argparse
from pathlib import Path

import numpy as np

ENDS = 1024
PADDING = 256
RATE, AUDIO = 22050, 43844
FONTS = Path("/usr/share/fonts/truetype/dejavu")
WORDS = (Path(__file__).parents[2] / "README.md").read_text().split()
PAGE_MEAN, PAGE_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def files(samples: int, rng: np.random.Generator, _shape: tuple[int, ...]) -> np.ndarray:
    """(samples, 2048) whole numbers; 256 stands for no byte."""
    found = sorted(
        p for p in Path("/usr").rglob("*") if p.is_file() and not p.is_symlink() and p.stat().st_size
    )
    # One kind of file after the other, so that the most frequent do not crowd out the rest.
    kinds = {path.suffix: path for path in rng.permutation(np.array(found, dtype=object))}
    chosen = [*kinds.values(), *rng.choice(np.array(found, dtype=object), samples)][:samples]
    ids = np.full((len(chosen), 2 * ENDS), PADDING, np.int32)
    for row, path in zip(ids, chosen, strict=True):
        content = np.frombuffer(path.read_bytes().strip(), np.uint8)
        head, tail = content[:ENDS], content[-ENDS:]
        row[: len(head)] = head
        row[2 * ENDS - len(tail) :] = tail
    return rng.permutation(ids)


def lines(samples: int, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(samples, 3, height, width) in [-1, 1]."""
    _, height, width = shape
    drawn = np.stack([_text(height, width, 1, rng) for _ in range(samples)])
    return np.moveaxis(drawn / 127.5 - 1, 3, 1).astype(np.float32)


def turned(samples: int, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Lines of which every other one is upside down."""
    drawn = lines(samples, rng, shape)
    drawn[1::2] = np.rot90(drawn[1::2], 2, (2, 3))
    return drawn


def pages(samples: int, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(samples, 3, height, width), normalised by a mean and a deviation of every channel."""
    _, height, width = shape
    drawn = np.stack([_text(height, width, max(height // 32, 1), rng) for _ in range(samples)])
    return np.moveaxis((drawn / 255 - PAGE_MEAN) / PAGE_STD, 3, 1).astype(np.float32)


def _text(height: int, width: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Some lines of dark text on light ground, or the other way round, (height, width, 3)."""
    from PIL import Image, ImageDraw, ImageFont

    paper, ink = rng.integers(170, 256, 3), rng.integers(0, 90, 3)
    if rng.random() < 0.3:
        paper, ink = ink, paper
    image = Image.new("RGB", (width, height), tuple(int(v) for v in paper))
    size = height / count
    font = ImageFont.truetype(
        rng.choice(sorted(map(str, FONTS.glob("*.ttf")))), size * rng.uniform(0.5, 0.75)
    )
    for line in range(count):
        words = " ".join(rng.choice(WORDS, 6))
        place = (rng.uniform(0, width / 8), (line + rng.uniform(0, 0.2)) * size)
        ImageDraw.Draw(image).text(place, words, tuple(int(v) for v in ink), font)
    return np.clip(np.asarray(image) + rng.normal(0, 6, (height, width, 3)), 0, 255)


def photos(samples: int, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(samples, height, width, 3), about in [-1, 1]."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    sources, (height, width, _) = load_sample_images().images, shape
    crops = []
    for _ in range(samples):
        source = sources[rng.integers(len(sources))]
        side = int(rng.integers(min(height, width), min(source.shape[:2])))
        top, left = (int(rng.integers(0, size - side + 1)) for size in source.shape[:2])
        crop = Image.fromarray(source[top : top + side, left : left + side])
        crops.append(np.asarray(crop.resize((width, height))))
    return ((np.stack(crops) - 127.5) / 128).astype(np.float32)


def tones(samples: int, rng: np.random.Generator, _shape: tuple[int, ...]) -> np.ndarray:
    """(samples, 43844, 1) at 22,050 Hz in [-1, 1]."""
    return np.stack([_chord(rng) for _ in range(samples)])[:, :, None].astype(np.float32)


def _chord(rng: np.random.Generator) -> np.ndarray:
    """One to five notes that begin somewhere and decay, and a little noise."""
    time, harmonics = np.arange(AUDIO) / RATE, np.arange(1, 9)[:, None]
    heard = rng.normal(0, 0.01, AUDIO)
    for _ in range(rng.integers(1, 6)):
        pitch, start = 440 * 2 ** (rng.integers(-30, 24) / 12), rng.uniform(-0.5, 1.5)
        envelope = np.where(time > start, np.exp(-rng.uniform(1, 5) * (time - start)), 0)
        heard += envelope * (np.sin(2 * np.pi * pitch * harmonics * time) * 0.6**harmonics).sum(0)
    return heard / np.abs(heard).max() * rng.uniform(0.2, 0.9)


KINDS = {f.__name__: f for f in (files, lines, turned, pages, photos, tones)}


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=96)
    parser.add_argument("--shape", default="3x48x192")
    parser.add_argument("--name", default="x")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    shape = tuple(int(part) for part in args.shape.split("x"))
    made = KINDS[args.kind](args.samples, np.random.default_rng(args.seed), shape)
    np.savez(args.out, allow_pickle=False, **{args.name: made})


if __name__ == "__main__":
    main()
