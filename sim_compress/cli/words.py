"""Numbers as a person reads them."""

from collections.abc import Mapping, Sequence

MEGABYTE = 1e6


def count(number: float) -> str:
    return f"{number:,.0f}"


def size(number: float) -> str:
    """Bytes of a file, exact."""
    return f"{number:,.0f} bytes"


def memory(number: float) -> str:
    """Bytes of memory, rounded."""
    return f"{number / 1e6:,.0f} MB" if number >= MEGABYTE else f"{number / 1e6:.2g} MB"


def percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def points(difference: float) -> str:
    """A difference of two fractions."""
    return f"{100 * difference:+.2f} points"


def ratio(number: float) -> str:
    return f"{number:.3g}"


def seconds(time: float) -> str:
    return f"{time:.1f} s"


def samples(number: int) -> str:
    return f"{number:,} sample{'' if number == 1 else 's'}"


def stages(times: Mapping[str, float]) -> str:
    """Seconds of each stage in one line."""
    return ", ".join(f"{stage} {time:.1f}" for stage, time in times.items())


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def shape(axes: tuple[int, ...]) -> str:
    return "x".join(map(str, axes)) or "scalar"


def outcomes(rows: Mapping[str, int], gap: float) -> str:
    """How the row problems ended."""
    ended = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in rows.items())
    return f"{ended or 'none'}, duality gap at most {gap:.1e} of the objective"


def tuning(epochs: int, before: float | None, after: float | None, robust: bool) -> str:
    """What moving all values together brought; `robust` where that was the classes of moved inputs."""
    if not epochs or before is None or after is None:
        return "none: values are as their rows were solved"
    passes = f"{epochs} epoch{'' if epochs == 1 else 's'}"
    what = "loss on inputs and moved inputs" if robust else "squared error of states and outputs"
    return f"{passes}, {what} {before:.3g} before, {after:.3g} after"


def certificate(kind: str, bound: float) -> str:
    """Kind of a certificate, and what it proves."""
    what = "no loops" if kind == "acyclic" else f"inf-norm of A in scaled coordinates {bound:.4g} < 1"
    return f"{kind}: {what}, so one equilibrium for every input"
