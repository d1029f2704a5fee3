"""Learning curves: quality by the number of labelled issues, with the spread over seeds.

Which method, with how many labels, at what cost, and how sure that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triage.arrays import Array, Ints, Mask
from triage.metrics import bootstrap
from triage.study.results import StudyRun
from triage.study.study import StudyOutcome


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


def curves(outcome: StudyOutcome) -> list[Curve]:
    """Micro-F1 with the one threshold, macro-F1 with a threshold for each label, in the order of measuring."""
    names = list(dict.fromkeys(run.method for run in outcome.runs))
    return [_curve(name, outcome) for name in names]


def _curve(name: str, outcome: StudyOutcome) -> Curve:
    sizes = sorted({run.size for run in outcome.runs if run.method == name})
    runs = [outcome.at(name, size) for size in sizes]
    return Curve(
        name,
        outcome.learns.get(name, True),
        tuple(_point(each, [run.one["micro_f1"] for run in each]) for each in runs),
        tuple(_point(each, [run.each["macro_f1"] for run in each]) for each in runs),
    )


def _point(runs: Sequence[StudyRun], values: Sequence[float]) -> Point:
    return Point(runs[0].size, round(float(np.mean(values)), 4), min(values), max(values), len(values))


RESAMPLES, SEED = 1000, 0
# What is within so much of the best micro-F1 is about as good.
CLOSE = 0.02


@dataclass(frozen=True)
class PairedDifference:
    """Ours minus theirs in micro-F1, its 95 % interval, and the share of resamples in which ours is better."""

    gain: float
    low: float
    high: float
    better: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero, on ours's side."""
        return self.low > 0

    @property
    def against(self) -> bool:
        """Whether theirs is better beyond doubt."""
        return self.high < 0


def paired(
    truth: Mask, ours: Mask, theirs: Mask, *, resamples: int = RESAMPLES, seed: int = SEED
) -> PairedDifference:
    """Both judged on the same issues [n, L], which are drawn again and again with replacement (Efron, 1979)."""
    drawn = bootstrap(len(truth), resamples, seed)
    whole = np.arange(len(truth))[None, :]
    gains = _f1(truth, ours, drawn) - _f1(truth, theirs, drawn)
    low, high = np.quantile(gains, (0.025, 0.975))
    gain = _f1(truth, ours, whole)[0] - _f1(truth, theirs, whole)[0]
    return PairedDifference(float(gain), float(low), float(high), float((gains > 0).mean()))


def _f1(truth: Mask, predicted: Mask, drawn: Ints) -> Array:
    hits, total = (truth & predicted).sum(axis=1), truth.sum(axis=1) + predicted.sum(axis=1)
    f1: Array = 2 * hits[drawn].sum(axis=1) / np.maximum(1, total[drawn].sum(axis=1))
    return f1


@dataclass(frozen=True)
class Rival:
    """A method on the largest slice beside the recommended one."""

    run: StudyRun
    difference: PairedDifference


@dataclass(frozen=True)
class Recommendation:
    """`best` has the highest micro-F1 on validation; `rivals` are the others, in that order.

    With `enough` labelled issues (None: not below all of them) it is within CLOSE of what it reaches with all;
    `growth` is what the last doubling brought (None: not measured). `cold` is the zero-shot method that is better
    as long as there are fewer than `until` labelled issues.
    """

    best: StudyRun
    rivals: tuple[Rival, ...]
    enough: int | None
    growth: float | None
    cold: str = ""
    until: int | None = None

    @property
    def as_good(self) -> list[StudyRun]:
        """Methods that the recommended one is not surely better than, those that learn fastest first."""
        near = [rival.run for rival in self.rivals if not rival.difference.sure]
        return sorted(near, key=lambda run: run.fit_seconds + run.score_seconds)


def advise(
    runs: Sequence[StudyRun], predicted: dict[str, Mask], truth: Mask, measured: Sequence[Curve]
) -> Recommendation:
    """From each method's run on the largest slice, its labels on test [t, L] by name, and the learning curves."""
    ranked = sorted(runs, key=lambda run: -run.validation)
    best, others = ranked[0], ranked[1:]
    rivals = tuple(Rival(run, paired(truth, predicted[best.method], predicted[run.method])) for run in others)
    curve = next(curve for curve in measured if curve.method == best.method)
    means = [(point.size, point.mean) for point in curve.micro]
    enough = next((size for size, mean in means if mean >= means[-1][1] - CLOSE), None)
    before = [mean for size, mean in means if size <= means[-1][0] // 2]
    cold, until = _cold(curve, measured)
    return Recommendation(
        best=best,
        rivals=rivals,
        enough=enough if enough != means[-1][0] else None,
        growth=round(means[-1][1] - before[-1], 4) if before else None,
        cold=cold,
        until=until,
    )


def _cold(best: Curve, measured: Sequence[Curve]) -> tuple[str, int | None]:
    """(the best zero-shot method, the first size at which the recommended one is better)."""
    zero_shot = [curve for curve in measured if not curve.learns and curve.method != best.method]
    if not zero_shot or not best.learns:
        return "", None
    rival = max(zero_shot, key=lambda curve: curve.micro[0].mean)
    first = next((point.size for point in best.micro if point.mean > rival.micro[0].mean), None)
    return rival.method, first
