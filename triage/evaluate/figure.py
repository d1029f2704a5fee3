"""A figure with the numbers it is drawn from, saved as PNG, SVG and JSON.

Label names come from strangers: nothing in them is taken for a formula.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from triage.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 28


@dataclass(frozen=True)
class Plot:
    """A figure under a file name, its heading, what it shows in a sentence, and its numbers as JSON."""

    name: str
    title: str
    caption: str
    figure: Figure
    data: object

    def save(self, folder: Path) -> None:
        """NAME.png, NAME.svg and NAME.json."""
        with style():
            self.figure.savefig(folder / f"{self.name}.png", dpi=120)
            self.figure.savefig(folder / f"{self.name}.svg", metadata={"Date": None})
        text = json.dumps(self.data, ensure_ascii=False, indent=1, allow_nan=False)
        (folder / f"{self.name}.json").write_text(text + "\n", "utf-8")


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


@contextmanager
def style() -> Iterator[None]:
    """How all figures look. Raises MissingExtra without matplotlib."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise MissingExtra("plots need matplotlib", "learn") from None
    settings: Any = {
        "text.parse_math": False,
        "svg.hashsalt": "triage",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Emoji in a label's name: the fonts at hand lack them, the tables have them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def short(name: str, most: int = LONGEST) -> str:
    """A name cut to so many characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def numbers(values: Any) -> list[Any]:
    """Nested lists with None for what is no number, four digits."""
    flat = np.round(np.asarray(values, dtype=float), 4).astype(object)
    flat[~np.isfinite(np.asarray(values, dtype=float))] = None
    found: list[Any] = flat.tolist()
    return found
