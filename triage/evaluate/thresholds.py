"""How scores become labels, the same way for every method: the thresholds of best F1 on the validation part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage.evaluate.method import Array, Mask
from triage.evaluate.metrics import macro_f1, micro_f1
from triage.learn.tune import best_cut


@dataclass(frozen=True)
class Thresholds:
    """One for all labels, and one for each, [L]; a label is set where its score reaches it."""

    common: float
    per_label: Array

    def one(self, scores: Array) -> Mask:
        """Labels by the common threshold."""
        found: Mask = scores >= self.common
        return found

    def each(self, scores: Array) -> Mask:
        """Labels by their own thresholds."""
        found: Mask = scores >= self.per_label
        return found


def choose(truth: Mask, scores: Array) -> tuple[Thresholds, float]:
    """The thresholds, and the micro-F1 that the common one reaches; a label that never occurs gets the common one."""
    common, f1 = best_cut(scores.ravel(), truth.ravel())
    own = [
        best_cut(scores[:, j], truth[:, j])[0] if truth[:, j].any() else common for j in range(truth.shape[1])
    ]
    return Thresholds(float(common), np.array(own)), float(f1)


def both(truth: Mask, predicted: Mask) -> tuple[float, float]:
    """(micro-F1, macro-F1)."""
    return micro_f1(truth, predicted), macro_f1(truth, predicted)
