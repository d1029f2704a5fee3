"""Measures for sets of labels. `truth` and `predicted` are bool [n, L], `scores` floats [n, L].

Reliability: the share of labels with a score of 0.8, say, that were right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.arrays import Array, Ints, Mask

# Resamples of a bootstrap, and bins of a calibration diagram.
DRAWS, BINS = 1000, 10


def f1(hits: npt.ArrayLike, predicted: npt.ArrayLike, true: npt.ArrayLike) -> Array:
    """F1 of any shape, from counts of labels: right ones, predicted ones and true ones; 0 of none."""
    total = np.add(predicted, true)
    return np.asarray(np.divide(np.multiply(2.0, hits), total, out=np.zeros(total.shape), where=total > 0))


def f1_per_label(truth: Mask, predicted: Mask) -> Array:
    """F1 of each label [L]; 0 where it neither occurs nor is predicted."""
    return f1((truth & predicted).sum(axis=0), predicted.sum(axis=0), truth.sum(axis=0))


def micro_f1(truth: Mask, predicted: Mask) -> float:
    """F1 over all pairs of issue and label."""
    return float(f1((truth & predicted).sum(), predicted.sum(), truth.sum()))


def macro_f1(truth: Mask, predicted: Mask) -> float:
    """The mean of the labels' F1, over the labels that occur in `truth`."""
    occurs = truth.any(axis=0)
    return float(f1_per_label(truth, predicted)[occurs].mean()) if occurs.any() else 0.0


def precision_recall(truth: Mask, predicted: Mask) -> tuple[float, float]:
    """Micro-averaged; a precision over nothing predicted is 0."""
    hits = int((truth & predicted).sum())
    return hits / max(1, int(predicted.sum())), hits / max(1, int(truth.sum()))


def coverage(predicted: Mask) -> float:
    """The share of issues that get at least one label."""
    return float(predicted.any(axis=1).mean()) if len(predicted) else 0.0


def precision_at_coverage(truth: Mask, scores: Array, share: float) -> float:
    """The precision of each issue's best label, over the `share` of issues whose best score is highest."""
    if not scores.size:
        return 0.0
    best = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    order = np.argsort(-scores[rows, best], kind="stable")[: max(1, round(share * len(scores)))]
    return float(truth[order, best[order]].mean())


def summary(truth: Mask, predicted: Mask, scores: Array) -> dict[str, float]:
    """The figures of all reports, rounded to four digits."""
    precision, recall = precision_recall(truth, predicted)
    figures = {
        "issues": float(len(truth)),
        "labels": float(truth.any(axis=0).sum()),
        "micro_f1": micro_f1(truth, predicted),
        "macro_f1": macro_f1(truth, predicted),
        "precision": precision,
        "recall": recall,
        "coverage": coverage(predicted),
    }
    for share in (0.25, 0.5, 0.75):
        figures[f"precision_at_{share:.0%}_coverage"] = precision_at_coverage(truth, scores, share)
    return {name: round(value, 4) for name, value in figures.items()}


@dataclass(frozen=True)
class Cuts:
    """Every way to cut a ranking of scores in two; all are [q], for the q highest scores.

    `values` fall; `hits` and `predicted` count what lies at or above each. Only where `distinct`, the last of equal
    values, is there a cut.
    """

    values: Array
    hits: Ints
    predicted: Ints
    distinct: Mask

    @classmethod
    def of(cls, scores: Array, truth: Mask) -> Cuts:
        """All cuts of scores [q], or of any shape that `truth` shares."""
        order = np.argsort(-scores.ravel(), kind="stable")
        values = scores.ravel()[order]
        hits = np.cumsum(truth.ravel()[order], dtype=np.int64)
        return cls(values, hits, np.arange(1, len(hits) + 1), np.append(values[:-1] > values[1:], True))

    def f1(self, hits: float = 0, predicted: float = 0, true: float = 0) -> Array:
        """F1 of each cut, on top of decisions that stand already; `true` counts what should be predicted in all."""
        return f1(hits + self.hits, predicted + self.predicted, true)

    def below(self, last: int, smallest: float = 0.0) -> float:
        """A threshold halfway between the value at `last` and the next smaller one."""
        smaller = self.values[last + 1] if last + 1 < len(self.values) else smallest
        return float((self.values[last] + smaller) / 2)


def wilson(hits: float, of: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson, 1927); 0 to 1 of nothing."""
    if not of:
        return 0.0, 1.0
    z2, share = 1.96**2, hits / of
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    reach = 1.96 / (1 + z2 / of) * (share * (1 - share) / of + z2 / (4 * of * of)) ** 0.5
    return max(0.0, centre - reach), min(1.0, centre + reach)


def bootstrap(n: int, seed: int = 0) -> Ints:
    """Rows [DRAWS, n] of n issues, drawn with replacement (Efron, 1979); paired where both sides use the same."""
    return np.random.default_rng(seed).integers(n, size=(DRAWS, n))


@dataclass(frozen=True)
class Bin:
    """Pairs of issue and label with similar scores: the mean score, the share that was right, the number of pairs."""

    promised: float
    reached: float
    pairs: int


def reliability(truth: Mask, scores: Array) -> list[Bin]:
    """The bins of equal width without empty ones, lowest first; `truth` and `scores` are [n, L]."""
    right, promised = truth.ravel(), scores.ravel()
    place = np.minimum((promised * BINS).astype(int), BINS - 1)
    members = [place == b for b in range(BINS)]
    return [Bin(float(promised[m].mean()), float(right[m].mean()), int(m.sum())) for m in members if m.any()]
