"""What becomes of a precision target on the newest issues: part of `promise.py`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from triage.arrays import Floats, Ints, Mask
from triage.config import Config, VoteConfig
from triage.engine.head import Head
from triage.learn.recipe import Recipe
from triage.metrics import bootstrap, coverage


@dataclass(frozen=True)
class Remembering(Recipe):
    """A recipe that fits the adaptation to the same rows once, also for copies with another target."""

    fitted: dict[bytes, tuple[Head | None, Floats]] = field(default_factory=dict)

    def adapted(self, rows: Ints) -> tuple[Head | None, Floats]:
        """See `Recipe`."""
        key = rows.tobytes()
        if key not in self.fitted:
            self.fitted[key] = super().adapted(rows)
        return self.fitted[key]


@dataclass(frozen=True)
class Kept:
    """What became of one target on the newest issues.

    `precision` is None where no label was set; `low` and `high` bound it. `able` of `labels` may be set by vote;
    `broken` of those that were set surely miss the target.
    """

    target: float | None
    applied: int
    precision: float | None
    low: float
    high: float
    coverage: float
    able: int
    labels: int
    broken: int


def kept(recipe: Recipe, target: float | None) -> Kept:
    """The recipe with that target, judged."""
    aimed = replace(recipe, config=Config(vote=VoteConfig(precision_target=target)))
    truth, predicted = aimed.result.truth, aimed.result.predicted
    low, high = interval(truth, predicted)
    voted = aimed.rules.voted
    return Kept(
        target=target,
        applied=int(predicted.sum()),
        precision=precision(truth, predicted),
        low=low,
        high=high,
        coverage=coverage(predicted),
        able=sum(rule.votes is not None for rule in voted),
        labels=len(voted),
        broken=surely_broken(truth, predicted, target or 0.0),
    )


def precision(truth: Mask, predicted: Mask) -> float | None:
    """The share of the labels set that were right; None where there is none."""
    return float(truth[predicted].mean()) if predicted.any() else None


def interval(truth: Mask, predicted: Mask) -> tuple[float, float]:
    """The 95 % interval of the precision, issues resampled."""
    drawn = bootstrap(len(truth))
    hits, count = (truth & predicted).sum(axis=1)[drawn].sum(axis=1), predicted.sum(axis=1)[drawn].sum(axis=1)
    some = count > 0
    if not some.any():
        return 0.0, 1.0
    low, high = np.quantile(hits[some] / count[some], (0.025, 0.975))
    return float(low), float(high)


def surely_broken(truth: Mask, predicted: Mask, target: float) -> int:
    """How many labels were right so rarely that a label of the promised precision would be with under 5 %."""
    from scipy.stats import binom

    hits, count = (truth & predicted).sum(axis=0), predicted.sum(axis=0)
    return int(((count > 0) & (binom.cdf(hits, count, target) < 0.05)).sum())
