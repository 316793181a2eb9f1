"""The curve of a sweep as a drawing, by matplotlib: what is lost, and what is won, against the sparsity."""

import importlib.util
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sim_compress.errors import MissingExtraError
from sim_compress.report.sweep import SweepReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 7.0, 2.4
DOTS = 150
# What matplotlib would otherwise make of the time of day: the same sweep gives the same bytes.
SALT = "sim-compress"
METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}


@dataclass(frozen=True)
class _Panel:
    """One quantity of every level.

    Attributes:
        label: of the vertical axis.
        values: one a level.
        dense: the network's own, drawn as a line; None where it has none.
        logarithmic: whether the values span orders of magnitude.
    """

    label: str
    values: Sequence[float]
    dense: float | None = None
    logarithmic: bool = False


def check_drawing() -> None:
    """Raise MissingExtraError where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "plot", "The plot of a sweep")


def chart(report: SweepReport, form: Literal["svg", "png"]) -> bytes:
    """The drawing as an SVG or PNG file; the same report gives the same bytes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    check_drawing()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    panels = _panels(report)
    drawn = io.BytesIO()
    # Characters that the font lacks, in the name of a file, are drawn as boxes.
    with rc_context({"svg.hashsalt": SALT}), warnings.catch_warnings(action="ignore", category=UserWarning):
        figure = Figure((WIDTH, HEIGHT * len(panels)), layout="constrained")
        _fill(figure, report, panels)
        figure.savefig(drawn, format=form, dpi=DOTS, metadata=METADATA[form])
    return drawn.getvalue()


def _panels(report: SweepReport) -> list[_Panel]:
    """Accuracy where labels tell it, else agreement; output error; bytes."""
    scores = [level.headline for level in report.levels]
    accuracies = [100 * s.accuracy_after for s in scores if s.accuracy_after is not None]
    agreements = [100 * s.agreement for s in scores if s.agreement is not None]
    errors = [s.relative_error for s in scores if s.relative_error is not None]
    found = []
    if accuracies:
        before = scores[0].accuracy_before
        found.append(_Panel("accuracy, %", accuracies, None if before is None else 100 * before))
    elif agreements:
        found.append(_Panel("top-1 agreement, %", agreements, 100.0))
    if errors:
        found.append(_Panel("relative output error", errors, logarithmic=min(errors) > 0))
    sizes = [100 * level.bytes / report.network.bytes for level in report.levels]
    return [*found, _Panel("artifact, % of the network's bytes", sizes)]


def _fill(figure: "Figure", report: SweepReport, panels: Sequence[_Panel]) -> None:
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for one, panel in zip(axes, panels, strict=True):
        _draw(one, [100 * level.sparsity for level in report.levels], panel)
    axes[-1].set_xlabel("sparsity, %")
    # A file's name may hold bytes that are no characters, and dollars that are no formula.
    figure.suptitle(report.network.file.encode(errors="replace").decode(), parse_math=False)


def _draw(axes: "Axes", sparsities: Sequence[float], panel: _Panel) -> None:
    axes.plot(sparsities, panel.values, marker="o", markersize=4)
    if panel.dense is not None:
        axes.axhline(panel.dense, linestyle="--", linewidth=1, color="gray", label="network")
        axes.legend(loc="lower left", frameon=False)
    if panel.logarithmic:
        axes.set_yscale("log")
    axes.set_ylabel(panel.label, fontsize="small")
    axes.grid(alpha=0.3)
