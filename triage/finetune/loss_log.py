"""The losses of a training run: a line for each step (JSON Lines), and a picture."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from triage.figures import blank

LOSSES_FILE, PICTURE_FILE = "losses.jsonl", "losses.png"
# A point of the picture is the mean over so many steps of one objective.
SMOOTHED = 25


class LossRecord(Protocol):
    """A dataclass that tells what one step did."""

    @property
    def number(self) -> int: ...


S = TypeVar("S", bound=LossRecord)


def logged(folder: Path, progress: Callable[[S], None] | None) -> Callable[[S], None]:
    """Writes each step's losses; what a killed run wrote after its checkpoint is dropped first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOSSES_FILE
    earlier = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    begun = False

    def listen(step: S) -> None:
        nonlocal begun
        if not begun:
            path.write_text("".join(earlier[: step.number - 1]), encoding="utf-8")
            begun = True
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(step)) + "\n")  # type: ignore[call-overload]  # steps are dataclasses
        if progress:
            progress(step)

    return listen


def plot(folder: Path) -> Path:
    """Draw `losses.jsonl` of a run of `Rounds`, a line for each objective, and return the picture's path.

    Raises MissingExtra without matplotlib.
    """
    by_objective: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for line in (folder / LOSSES_FILE).read_text(encoding="utf-8").splitlines():
        step = json.loads(line)
        by_objective[step["objective"]].append((step["number"], step["loss"]))
    figure = blank(7, 4)
    axes = figure.subplots()
    for objective, points in sorted(by_objective.items()):
        pieces = np.array_split(np.array(points), -(-len(points) // SMOOTHED))
        means = np.array([piece.mean(axis=0) for piece in pieces])
        axes.plot(means[:, 0], means[:, 1], label=objective)
    axes.set(xlabel="step", ylabel=f"loss, mean of {SMOOTHED} steps")
    axes.legend(frameon=False)
    path = folder / PICTURE_FILE
    figure.savefig(path, dpi=130)
    return path
