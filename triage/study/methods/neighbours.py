"""The chapter's nearest neighbours: a label's score is the share of the k nearest issues that carry it.

Every neighbour counts the same; a threshold on the share is the chapter's m. Searched once, K_MAX deep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.decide.rules import K_MAX, kernel, tally
from triage.engine.index import Index
from triage.study.protocol import LabellingTask, MethodContext, Texts, Told

DEFAULT_K = 10


@dataclass(frozen=True)
class Near:
    """Neighbours of q queries: similarities in falling order and rows of the labelled issues, both [q, K_MAX]."""

    similarities: Floats
    rows: Ints

    def carries(self, targets: Mask) -> Mask:
        """Which neighbour carries which label, [q, K_MAX, L]."""
        found: Mask = targets[np.maximum(self.rows, 0)] & (self.rows >= 0)[..., None]
        return found


class Neighbours:
    """See `triage.study.protocol.Method`; k is chosen on validation."""

    name = "nearest neighbours"
    needs = "learn"
    learns = True

    def __init__(self, encoder: str) -> None:
        self.identity = f"uniform vote 1 {encoder}"

    def unavailable(self) -> str:
        """Never: the encoder is open."""
        return ""

    def fit(self, task: LabellingTask) -> FittedNeighbours:
        """An index of the labelled issues."""
        return FittedNeighbours(task)


class FittedNeighbours:
    """The index and the labels of what is in it."""

    def __init__(self, task: LabellingTask) -> None:
        self._targets = task.targets
        self._index = Index(task.labelled.vectors, range(len(task.labelled)))

    def near(self, queries: Texts) -> Near:
        """The neighbours that vote."""
        return Near(*self._index.search(queries.vectors))

    def choices(self, queries: Texts) -> Mapping[str, Array]:
        """See `triage.study.protocol.Graded`."""
        near = self.near(queries)
        carries, weights = near.carries(self._targets), kernel(near.similarities, "uniform")
        most = min(K_MAX, len(self._index))
        return {f"k = {k}": tally(weights, carries, k) / k for k in range(1, most + 1)}

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """With DEFAULT_K neighbours, or all where there are fewer."""
        found = self.choices(queries)
        if progress:
            progress(len(queries))
        return found[f"k = {min(DEFAULT_K, len(found))}"]


def make(means: MethodContext) -> Neighbours:
    """The method, with the encoder of the configuration."""
    return Neighbours(means.engines.encoder.digest)
