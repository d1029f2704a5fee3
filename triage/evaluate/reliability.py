"""How far scores can be believed: of the labels that a score promises at 0.8, how many were right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triage.errors import MissingExtra
from triage.evaluate.metrics import Array, Mask

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Pairs of issue and label with about the same score: the mean score, the share that was right, how many."""

    promised: float
    reached: float
    pairs: int


def reliability(truth: Mask, scores: Array, bins: int = BINS) -> list[Bin]:
    """The bins of equal width that hold any pair, lowest first; `truth` and `scores` are [n, L]."""
    right, promised = truth.ravel(), scores.ravel()
    place = np.minimum((promised * bins).astype(int), bins - 1)
    members = [place == b for b in range(bins)]
    return [Bin(float(promised[m].mean()), float(right[m].mean()), int(m.sum())) for m in members if m.any()]


def plot(bins: Sequence[Bin], path: Path) -> None:
    """Draw the bins into an image file. Raises MissingExtra without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("plots need matplotlib", "learn") from None

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="as promised")
    promised, reached = [b.promised for b in bins], [b.reached for b in bins]
    axes.plot(promised, reached, marker="o", label="newest issues")
    for b in bins:
        axes.annotate(
            str(b.pairs), (b.promised, b.reached), xytext=(5, -10), textcoords="offset points", fontsize=7
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="score", ylabel="share of labels that were right")
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=150)
