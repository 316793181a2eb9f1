"""Cost of the native solver against rows, features and samples, with the exponents of a log-log fit.

usage: python tools/bench/solver_scaling.py [--plot docs/scaling.svg]

Processor seconds on one thread, the best of three. Only the size named in the first column changes; the
others stay at 256 features and 64 rows. Samples enter through the Gram alone, so their line times its
accumulation; features and rows that of the solve.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from row_data import Timed, sample, timed

from sim_compress.core import L1, Gram, solve
from sim_compress.core.engines import one_blas_thread
from sim_compress.errors import MissingExtraError

FEATURES, ROWS = 256, 64
ALPHA, REPEATS = 0.02, 3


@dataclass(frozen=True)
class Series:
    """Seconds against one size."""

    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def exponent(self) -> float:
        """Slope of log seconds against log size."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.seconds), 1)[0])

    def __str__(self) -> str:
        points = "  ".join(f"{n}: {s:.2e}" for n, s in zip(self.sizes, self.seconds, strict=True))
        return f"{self.name:9} exponent {self.exponent:.2f}   {points}"


def best(work: Callable[[], Timed]) -> float:
    return min(work().cpu for _ in range(REPEATS))


def solving(features: int, rows: int) -> float:
    """All rows of one block at one alpha, to a gap of 1e-6."""
    problems = sample(features, rows, 4 * features).problems
    alpha = ALPHA * float(np.abs(problems.g).max())
    return best(lambda: timed(lambda: solve(problems, L1, alpha).rows))


def accumulating(samples: int) -> float:
    """Moments of one block, in batches of 1,000 samples, in float32 as the pipeline has them."""
    rng = np.random.default_rng(0)
    S = rng.random((FEATURES, 1000), np.float32)
    Z = rng.random((ROWS, 1000), np.float32)

    def work() -> np.ndarray:
        gram = Gram.zeros(FEATURES, ROWS)
        for _ in range(samples // 1000):
            gram.add(S, Z)
        return gram.scatter

    return best(lambda: timed(work))


def measured() -> list[Series]:
    rows, features = (16, 32, 64, 128, 256), (64, 128, 256, 512, 1024)
    samples = (5_000, 10_000, 20_000, 40_000, 80_000)
    return [
        Series("rows", rows, tuple(solving(FEATURES, r) for r in rows)),
        Series("features", features, tuple(solving(f, ROWS) for f in features)),
        Series("samples", samples, tuple(accumulating(n) for n in samples)),
    ]


def plot(series: Sequence[Series], path: Path) -> None:
    """One panel a series.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", "The plot") from error
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axis, one in zip(figure.subplots(1, len(series)), series, strict=True):
        axis.loglog(one.sizes, one.seconds, "o-")
        axis.set(xlabel=one.name, ylabel="seconds", title=f"exponent {one.exponent:.2f}")
        axis.set_xticks(one.sizes, [str(n) for n in one.sizes], rotation=45)
        axis.minorticks_off()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--plot", type=Path, help="figure to write: .svg, .png or .pdf")
    args = parser.parse_args()
    numba.set_num_threads(1)
    with one_blas_thread():
        series = measured()
    for one in series:
        print(one)
    if args.plot:
        plot(series, args.plot)


if __name__ == "__main__":
    main()
