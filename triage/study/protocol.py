"""What every method of the study is given and answers, so that methods can be compared.

A method answers with scores, never with labels: the study chooses thresholds on the validation part, in the same way
for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from triage.arrays import Array, Floats, Mask
from triage.config import Config
from triage.engine.model_folder import pulled_root
from triage.errors import MissingExtra, TriageError

if TYPE_CHECKING:
    from triage.learn.recipe import Engines


# In place of a masked language model: the encoder of `weights`, adapted to the issues without labels.
ADAPTED = "adapted"


@dataclass(frozen=True)
class Texts:
    """Rendered issues and the shipped encoder's vectors of them, [n, d].

    `files` are those that each pull request changes (empty: none of any); of the methods, only the product reads them.
    """

    texts: Sequence[str]
    vectors: Floats
    files: Sequence[tuple[str, ...]] = ()

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class LabellingTask:
    """What a method may learn from: labelled issues, `targets` [n, L] over `names`, and issues without labels.

    Labelled issues are ordered oldest first; `descriptions` explain labels, where known.
    """

    names: Sequence[str]
    labelled: Texts
    targets: Mask
    unlabelled: Texts
    descriptions: Mapping[str, str]
    seed: int


@dataclass(frozen=True)
class MethodContext:
    """What methods are built from.

    `models` are those that the user named, by their role (docs/how-to/compare-methods.md): a folder or
    `org/name@COMMIT`. `dated`: whether the labelled issues have dates. `folder` is for files that a method keeps
    between fits, `seconds` bounds one `fit` (None: no bound).
    """

    config: Config
    engines: Engines
    dated: bool = True
    models: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    seconds: float | None = None

    @property
    def home(self) -> Path:
        """Where adapted models are kept."""
        return self.folder or pulled_root().parent / "adapted"

    @property
    def masked(self) -> str | None:
        """The masked language model that was named; None: the encoder of `weights` is adapted to the issues."""
        named = self.models.get("masked")
        return None if named == ADAPTED else named


class Fitted(ABC):
    """A method that has learnt."""

    @abstractmethod
    def scores(self, queries: Texts) -> Array:
        """A score 0 to 1 for each query and label, [q, L]; higher is likelier."""

    def choices(self, queries: Texts) -> Mapping[str, Array]:
        """The scores under each value of a setting, which the study chooses by validation micro-F1; "": no setting."""
        return {"": self.scores(queries)}

    def decided(self, queries: Texts) -> Mask | None:  # noqa: ARG002 - for methods with rules of their own
        """The labels by thresholds of its own, [q, L]; None where it has none."""
        return None


class Method(ABC):
    """One row of the comparison, made from a `context`.

    `needs` names the extra it takes (`learn` or `train`); `learns` is False for a zero-shot method, whose scores do
    not depend on how many labelled issues there are. `identity` changes with whatever changes the scores, such as
    settings and digests of models: results are kept under it. Looking it up raises ModelError or MissingExtra where
    a model is missing.
    """

    name: str
    needs = "learn"
    learns = True

    def __init__(self, context: MethodContext) -> None:
        self.context = context

    @cached_property
    def identity(self) -> str:
        """See the class; set or overridden by every method."""
        raise NotImplementedError

    @property
    def remarks(self) -> str:
        """What the report should mention ("": nothing)."""
        return ""

    def unavailable(self) -> str:
        """Why it cannot be measured here, such as a missing model; "" where it can."""
        return why_not(lambda: self.identity)

    def prepare(self, task: LabellingTask) -> object:  # noqa: ARG002 - for methods with something to prepare
        """Make what every fit needs once, whatever is labelled, and keep it. Raises as `fit` does."""
        return None

    @abstractmethod
    def fit(self, task: LabellingTask) -> Fitted:
        """Learn; equal tasks give equal scores on one machine. Raises DataError, ModelError, MissingExtra."""


def why_not(look: Callable[[], object]) -> str:
    """Why looking up a model fails; "" where it succeeds."""
    try:
        look()
    except ModuleNotFoundError as error:
        return str(MissingExtra(f"{error.name} is not installed", "train")).replace("\n ", ";")
    except TriageError as error:
        return error.what
    return ""


def spread(n: int, most: int) -> list[int]:
    """At most this many of n rows, spread as evenly as possible."""
    rows: list[int] = np.linspace(0, max(0, n - 1), min(most, n)).round().astype(int).tolist()
    return rows
