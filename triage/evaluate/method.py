"""What every method of the study sees and answers, so that they can be compared side by side.

A method answers with scores, never with labels: thresholds are chosen by the study, on the tuning part, in the
same way for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Texts:
    """Rendered issues and the shipped encoder's vectors of them, [n, d]."""

    texts: Sequence[str]
    vectors: Floats

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Task:
    """What a method may learn from: labelled issues, `targets` [n, L] over `names`, and issues without labels.

    Labelled issues stand oldest first; `descriptions` say what labels mean, where known.
    """

    names: Sequence[str]
    labelled: Texts
    targets: Mask
    unlabelled: Texts
    descriptions: Mapping[str, str]
    seed: int


Told = Callable[[int], None]


class Fitted(Protocol):
    """A method that has learnt."""

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """A score for each query and label, [q, L]; higher is likelier, comparable within one label at least."""
        ...


class Method(Protocol):
    """One row of the comparison.

    `needs` names the extra it takes (`learn` or `train`); `learns` is False for a zero-shot method, whose scores
    do not depend on how many labelled issues there are.
    """

    name: str
    needs: str
    learns: bool

    def unavailable(self) -> str:
        """Why it cannot be measured here, such as a model that is not at hand; "" where it can."""
        ...

    def fit(self, task: Task) -> Fitted:
        """Learn; equal tasks give equal scores on one machine. Raises DataError, ModelError, MissingExtra."""
        ...
