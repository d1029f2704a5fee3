"""Fine-tuning after the encoder has learnt the language of the issues without labels; see triage.learn.deep.adapted.

The adaptation is the same for every slice and seed: it sees neither labels nor how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from triage.evaluate.method import Means, Task
from triage.evaluate.methods.fine_tuned import FineTuned, FittedClassifier, shown
from triage.evaluate.models import Models, home

if TYPE_CHECKING:
    from triage.learn.deep.weights import Weights


class DomainAdapted(FineTuned):
    """See `triage.evaluate.method.Method`; of `seconds` half goes to either training."""

    name = "domain-adapted, fine-tuned"

    def __init__(self, folder: Path, weights: str | None = None, seconds: float | None = None) -> None:
        super().__init__(weights, seconds and seconds / 2)
        self._folder = folder

    @cached_property
    def identity(self) -> str:
        """See `triage.evaluate.method.Method`; raises as `weights` does."""
        from triage.learn.deep import classify, masked

        return f"{self.name} 1 {self.weights.digest()} {masked.PLAN} {classify.PLAN} {self._seconds}"

    def fit(self, task: Task) -> FittedClassifier:
        """Encoder and head, from the adapted weights. Raises DataError, ModelError, MissingExtra."""
        return self._tuned(self.prepare(task), task)

    def prepare(self, task: Task) -> Weights:
        """The adapted weights: made once for the same texts without labels, whatever is labelled."""
        return adapted(self.weights, task, self._folder, self._seconds)


def domain(task: Task) -> Sequence[str]:
    """Texts to adapt to: those without labels, or, where there are none, the labelled ones without theirs."""
    return task.unlabelled.texts or task.labelled.texts


def adapted(weights: Weights, task: Task, folder: Path, seconds: float | None = None) -> Weights:
    """A masked language model of the task's domain. Raises DataError, ModelError, MissingExtra."""
    from triage.learn.deep.adapted import adapt
    from triage.learn.deep.masked import PLAN

    plan = replace(PLAN, seconds=seconds)
    return adapt(domain(task), weights, folder, plan=plan, progress=shown("learning the issues' language"))


def make(means: Means) -> DomainAdapted:
    """The method, from the weights that were named, or the shipped encoder's."""
    return DomainAdapted(home(means), Models.of(means.models).weights, means.seconds)
