"""What every method of the study sees and answers, so that they can be compared side by side.

A method answers with scores, never with labels: thresholds are chosen by the study, on the validation part, in the
same way for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from triage.arrays import Array, Floats, Mask
from triage.config import Config

if TYPE_CHECKING:
    from triage.learn.recipe import Engines


@dataclass(frozen=True)
class Texts:
    """Rendered issues and the shipped encoder's vectors of them, [n, d]."""

    texts: Sequence[str]
    vectors: Floats

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class LabellingTask:
    """What a method may learn from: labelled issues, `targets` [n, L] over `names`, and issues without labels.

    Labelled issues stand oldest first; `descriptions` say what labels mean, where known.
    """

    names: Sequence[str]
    labelled: Texts
    targets: Mask
    unlabelled: Texts
    descriptions: Mapping[str, str]
    seed: int


@dataclass(frozen=True)
class MethodContext:
    """What is at hand to build methods with; every method's module has `make(means: MethodContext) -> Method`.

    `models` are those that the user named, by what they serve: a folder or `org/name@COMMIT`. `dated` tells
    whether the labelled issues have dates, `folder` is for files that a method keeps while it learns, `seconds`
    what one `fit` may take at most (None: as long as it needs).
    """

    config: Config
    engines: Engines
    dated: bool = True
    models: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    seconds: float | None = None


Told = Callable[[int], None]


class Fitted(Protocol):
    """A method that has learnt."""

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """A score 0 to 1 for each query and label, [q, L]; higher is likelier."""
        ...


@runtime_checkable
class GradedMethod(Fitted, Protocol):
    """A fitted method with one setting that the study chooses as it chooses thresholds: by validation micro-F1."""

    def choices(self, queries: Texts) -> Mapping[str, Array]:
        """The scores [q, L] under each value of the setting."""
        ...


@runtime_checkable
class DecidingMethod(Fitted, Protocol):
    """A fitted method with thresholds of its own."""

    def decided(self, queries: Texts) -> Mask:
        """The labels that it would set by itself, [q, L]."""
        ...


class Method(Protocol):
    """One row of the comparison.

    `needs` names the extra it takes (`learn` or `train`); `learns` is False for a zero-shot method, whose scores
    do not depend on how many labelled issues there are. `identity` changes with whatever changes the scores,
    such as settings and digests of models: results are kept under it.
    """

    name: str
    needs: str
    learns: bool
    identity: str

    def unavailable(self) -> str:
        """Why it cannot be measured here, such as a model that is not at hand; "" where it can."""
        ...

    def fit(self, task: LabellingTask) -> Fitted:
        """Learn; equal tasks give equal scores on one machine. Raises DataError, ModelError, MissingExtra."""
        ...


@runtime_checkable
class PreparingMethod(Method, Protocol):
    """A method that makes something once, whatever is labelled, and keeps it for every run."""

    def prepare(self, task: LabellingTask) -> object:
        """Make it, or find it made; raises as `fit` does."""
        ...
