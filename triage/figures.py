"""Figures (matplotlib), and the calibration diagram: of labels with about the same score, the share that was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from triage.errors import MissingExtra
from triage.metrics import Bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches. Raises MissingExtra without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("plots need matplotlib", "learn") from None

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_calibration(axes: Axes, series: Mapping[str, Sequence[Bin]], colours: Mapping[str, str]) -> None:
    """A line for each title: a point for each bin, with its number of pairs of issue and label."""
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect calibration")
    for title, bins in series.items():
        x, y = [one.promised for one in bins], [one.reached for one in bins]
        axes.plot(x, y, marker="o", color=colours.get(title), label=title)
        for one in bins:
            place = (one.promised, one.reached)
            axes.annotate(str(one.pairs), place, xytext=(5, -10), textcoords="offset points", fontsize=7)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="score", ylabel="share of labels that were right")
    axes.legend(loc="upper left", frameon=False, fontsize=8)


def save_calibration(bins: Sequence[Bin], path: Path) -> None:
    """Draw the bins of the newest issues into an image file. Raises MissingExtra without matplotlib."""
    figure = blank(4.5, 4.5)
    draw_calibration(figure.subplots(), {"newest issues": bins}, {})
    figure.savefig(path, dpi=150)
