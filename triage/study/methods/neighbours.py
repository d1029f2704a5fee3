"""The chapter's nearest neighbours: a label's score is the share of the k nearest issues that carry it.

Every neighbour counts the same; a threshold on the share is the chapter's m. Searched once, K_MAX deep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.decide.rules import K_MAX, kernel, tally
from triage.engine.index import Index
from triage.study.protocol import Fitted, LabellingTask, Method, Texts

DEFAULT_K = 10


@dataclass(frozen=True)
class Near:
    """Neighbours of q queries: similarities in falling order and rows of the labelled issues, both [q, K_MAX]."""

    similarities: Floats
    rows: Ints

    def carries(self, targets: Mask) -> Mask:
        """Which neighbour carries which label, [q, K_MAX, L]."""
        return np.asarray(targets[np.maximum(self.rows, 0)] & (self.rows >= 0)[..., None])


class Neighbours(Method):
    """The unweighted vote; k is chosen on validation."""

    name = "nearest neighbours"

    @cached_property
    def identity(self) -> str:
        return f"uniform vote 1 {self.context.engines.encoder.digest}"

    def fit(self, task: LabellingTask) -> FittedNeighbours:
        """An index of the labelled issues."""
        return FittedNeighbours(task)


class FittedNeighbours(Fitted):
    """The index, and the labels of its issues."""

    def __init__(self, task: LabellingTask) -> None:
        self._targets = task.targets
        self._index = Index(task.labelled.vectors, range(len(task.labelled)))

    def near(self, queries: Texts) -> Near:
        """The neighbours that vote."""
        return Near(*self._index.search(queries.vectors))

    def choices(self, queries: Texts) -> Mapping[str, Array]:
        """The scores by k."""
        near = self.near(queries)
        carries, weights = near.carries(self._targets), kernel(near.similarities, "uniform")
        most = min(K_MAX, len(self._index))
        return {f"k = {k}": tally(weights, carries, k) / k for k in range(1, most + 1)}

    def scores(self, queries: Texts) -> Array:
        """With DEFAULT_K neighbours, or all where there are fewer."""
        return self.choices(queries)[f"k = {min(DEFAULT_K, K_MAX, len(self._index))}"]
