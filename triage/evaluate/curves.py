"""Learning curves: quality by the number of labelled issues, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triage.evaluate.results import Run
from triage.evaluate.study import Outcome


@dataclass(frozen=True)
class Point:
    """The mean over `runs` seeds and the least and greatest of them; the measure is the curve's."""

    size: int
    mean: float
    least: float
    greatest: float
    runs: int


@dataclass(frozen=True)
class Curve:
    """One method; a method that learns nothing from labels has one point, the same for every size."""

    method: str
    learns: bool
    micro: tuple[Point, ...]
    macro: tuple[Point, ...]

    def micro_at(self, size: int) -> float | None:
        """Mean micro-F1 with that many labelled issues; None where it was not measured."""
        if not self.learns:
            return self.micro[0].mean
        return next((point.mean for point in self.micro if point.size == size), None)


def curves(outcome: Outcome) -> list[Curve]:
    """Micro-F1 with the one threshold, macro-F1 with a threshold for each label, in the order of measuring."""
    names = list(dict.fromkeys(run.method for run in outcome.runs))
    return [_curve(name, outcome) for name in names]


def _curve(name: str, outcome: Outcome) -> Curve:
    sizes = sorted({run.size for run in outcome.runs if run.method == name})
    runs = [outcome.at(name, size) for size in sizes]
    return Curve(
        name,
        outcome.learns.get(name, True),
        tuple(_point(each, [run.one["micro_f1"] for run in each]) for each in runs),
        tuple(_point(each, [run.each["macro_f1"] for run in each]) for each in runs),
    )


def _point(runs: Sequence[Run], values: Sequence[float]) -> Point:
    return Point(runs[0].size, round(float(np.mean(values)), 4), min(values), max(values), len(values))
