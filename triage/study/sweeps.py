"""Sweeps over thresholds, the number of best labels, and k, m and the least similarity of a vote.

Neighbours are searched once: every k is a slice of that list, every m a cut through its votes, and a least
similarity shortens the list, which is in falling order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.arrays import Array, Ints, Mask
from triage.metrics import f1, macro_f1, micro_f1
from triage.study.methods.neighbours import Near

THRESHOLDS = tuple(round(0.01 * i, 2) for i in range(1, 101))
FLOORS = (-1.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True)
class SweepLine:
    """Micro- and macro-F1 at each value of what is swept."""

    at: tuple[float, ...]
    micro: tuple[float, ...]
    macro: tuple[float, ...]

    def best(self) -> tuple[float, float]:
        """(value, micro-F1) where micro-F1 is best, the first of equals."""
        i = int(np.argmax(self.micro))
        return self.at[i], self.micro[i]

    def micro_at(self, value: float) -> float:
        """Micro-F1 at one of the values."""
        return self.micro[self.at.index(value)]


def threshold_sweep(truth: Mask, scores: Array) -> SweepLine:
    """Labels whose score, 0 to 1, reaches each of THRESHOLDS; `truth` and `scores` are [n, L]."""
    return _line(truth, THRESHOLDS, [scores >= threshold for threshold in THRESHOLDS])


def top_k_sweep(truth: Mask, scores: Array) -> SweepLine:
    """The 1, 2, 3, … best labels of each issue, ties by the order of labels."""
    place = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    counts = range(1, scores.shape[1] + 1)
    return _line(truth, tuple(counts), [place < count for count in counts])


def _line(truth: Mask, at: Sequence[float], predicted: Sequence[Mask]) -> SweepLine:
    return SweepLine(
        tuple(at),
        tuple(round(micro_f1(truth, each), 4) for each in predicted),
        tuple(round(macro_f1(truth, each), 4) for each in predicted),
    )


@dataclass(frozen=True)
class Grid:
    """Micro- and macro-F1 [K, K, floors] at k = first index + 1, m = second + 1; not a number where m > k."""

    floors: tuple[float, ...]
    micro: Array
    macro: Array

    def best(self, measure: Array) -> tuple[int, int, float]:
        """(k, m, floor) where the measure is best; of equals the smallest k, then m."""
        k, m, t = np.unravel_index(int(np.nanargmax(np.round(measure, 6))), measure.shape)
        return int(k) + 1, int(m) + 1, self.floors[int(t)]


def neighbour_sweep(
    near: Near, targets: Mask, truth: Mask, floors: Sequence[float] = (FLOORS[0],), most: int | None = None
) -> Grid:
    """The whole grid out of one search; `targets` [n, L] are of the rows that vote, `truth` [q, L] of the queries.

    Labels that at least m of the k nearest carry, counting neighbours at least as similar as the floor.
    """
    depth = min(most or near.rows.shape[1], near.rows.shape[1])
    carries = near.carries(targets)[:, :depth]
    # [q, depth + 1, L]: the votes among the first 0, 1, 2, … neighbours.
    votes = np.concatenate(
        [np.zeros_like(carries[:, :1], dtype=np.int16), carries.cumsum(axis=1, dtype=np.int16)], axis=1
    )
    shape = (depth, depth, len(floors))
    micro, macro = np.full(shape, np.nan), np.full(shape, np.nan)
    queries, labels = np.arange(len(truth)), truth.sum(axis=0)
    for t, floor in enumerate(floors):
        reach = (near.similarities[:, :depth] >= floor).sum(axis=1)
        for k in range(1, depth + 1):
            counted = votes[queries, np.minimum(k, reach)]
            predicted, hits = _cuts(counted, truth, k)
            micro[k - 1, :k, t] = f1(hits.sum(axis=1), predicted.sum(axis=1), labels.sum())
            macro[k - 1, :k, t] = f1(hits, predicted, labels)[:, labels > 0].mean(axis=1)
    return Grid(tuple(floors), micro, macro)


def _cuts(counted: npt.NDArray[np.int16], truth: Mask, k: int) -> tuple[Ints, Ints]:
    """(predicted, right) for each m of 1..k and label, [k, L], from the votes [q, L]."""
    labels = truth.shape[1]
    cell = counted + np.arange(labels) * (k + 1)
    length = labels * (k + 1)
    every = np.bincount(cell.ravel(), minlength=length).reshape(labels, k + 1)
    right = np.bincount(cell[truth], minlength=length).reshape(labels, k + 1)
    return _from_above(every), _from_above(right)


def _from_above(counts: Ints) -> Ints:
    """How many have at least m votes, [k, L], from how many have 0..k of them, [L, k + 1]."""
    return np.asarray(counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:].T)
