"""The encoder with a classification head, both trained on the labelled issues; see triage.learn.deep.classify."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from triage.evaluate.method import Array, Means, Task, Texts, Told
from triage.evaluate.models import Models, needed, why_not
from triage.progress import bar

if TYPE_CHECKING:
    from triage.learn.deep.classify import Classifier
    from triage.learn.deep.loop import Done
    from triage.learn.deep.weights import Weights

# A training of more steps than this shows how far it is.
LONG = 200


class FineTuned:
    """See `triage.evaluate.method.Method`; `seconds` bounds one training (None: no bound)."""

    name = "fine-tuned transformer"
    needs = "train"
    learns = True

    def __init__(self, weights: str | None = None, seconds: float | None = None) -> None:
        self._named, self._seconds = weights, seconds

    @cached_property
    def weights(self) -> Weights:
        """What training starts from. Raises ModelError, MissingExtra."""
        try:
            from triage.learn.deep.weights import named_weights
        except ModuleNotFoundError as error:
            raise needed(error, "fine-tuning") from None
        return named_weights(self._named)

    @cached_property
    def identity(self) -> str:
        """See `triage.evaluate.method.Method`; raises as `weights` does."""
        from triage.learn.deep.classify import PLAN

        return f"{self.name} 1 {self.weights.digest()} {PLAN} {self._seconds}"

    def unavailable(self) -> str:
        """Without torch, or without weights."""
        return why_not(lambda: self.weights)

    def fit(self, task: Task) -> FittedClassifier:
        """Encoder and head, from the weights. Raises ModelError, MissingExtra."""
        return self._tuned(self.weights, task)

    def _tuned(self, weights: Weights, task: Task) -> FittedClassifier:
        from triage.learn.deep.classify import PLAN, Classifier

        plan = replace(PLAN, seed=task.seed, seconds=self._seconds)
        classifier = Classifier(*weights.open(), plan)
        classifier.fit(task.labelled.texts, task.targets, shown("fine-tuning"))
        return FittedClassifier(classifier)


class FittedClassifier:
    """A trained encoder with its head."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.evaluate.method.Fitted`."""
        return self._classifier.scores(queries.texts, progress)


def shown(title: str) -> Callable[[Done], None]:
    """Shows the steps of a training that is long."""
    tell: list[Told] = []

    def listen(done: Done) -> None:
        if done.total > LONG and not tell:
            tell.append(bar(f"{title}, steps", done.total))
        for told in tell:
            told(done.number)

    return listen


def make(means: Means) -> FineTuned:
    """The method, from the weights that were named, or the shipped encoder's."""
    return FineTuned(Models.of(means.models).weights, means.seconds)
