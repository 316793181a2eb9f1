"""Numbers at the borders of what ints and floats hold, and lists of them."""

from random import Random

import numpy as np
from numpy.typing import NDArray

INTEGERS = (
    *(0, 1, -1, 2, 3, 7, 8, 16, 17, 255, 256, 65_535, 65_536, 2**24 + 1),
    *(2**31 - 2, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**33, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30),
)
# Denormals, smallest and largest of float16, float32 and float64, and what no longer fits them.
MAGNITUDES = (
    *(0.0, 5e-324, 1e-300, 1e-46, 1.4e-45, 1e-40, 1.1754942e-38, 1.1754944e-38, 1e-30, 1e-20, 1e-7),
    *(0.1, 0.5, 1.0, 1.5, 10.0, 88.8, 104.0, 65_504.0, 16_777_217.0, 2e9, 1e19, 1.9e19, 1e30),
    *(3.4028234e38, 3.4028235e38, 3.4028236e38, 1e39, 1e300, 1.7976931348623157e308),
)


def integer(rng: Random) -> int:
    """A whole number at a border."""
    return rng.choice(INTEGERS) * rng.choice((1, 1, -1))


def real(rng: Random) -> float:
    """A number at a border of a float format."""
    return rng.choice(MAGNITUDES) * rng.choice((1, -1))


def usual(rng: Random) -> float:
    """A number as networks have them."""
    return round(rng.gauss(0, 1), rng.choice((1, 3, 9)))


def spread(rng: Random, shape: tuple[int, ...], borders: float = 0.05) -> NDArray[np.float32]:
    """Normal numbers in a float format of the weights; sometimes a few are at the border of float32."""
    numbers = np.random.default_rng(rng.getrandbits(32)).standard_normal(shape).astype(np.float32)
    numbers *= np.float32(rng.choice((0.02, 0.3, 1.0, 30.0)))
    format_ = rng.choice(("float32", "float16", "bfloat16"))
    if format_ == "float16":
        numbers = numbers.astype(np.float16).astype(np.float32)
    elif format_ == "bfloat16":
        numbers = (numbers.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    if rng.random() < borders and numbers.size:
        within = [m for m in MAGNITUDES if m <= 3.4028234e38]
        for _ in range(rng.randint(1, 3)):
            numbers.reshape(-1)[rng.randrange(numbers.size)] = rng.choice(within) * rng.choice((1, -1))
    return numbers
