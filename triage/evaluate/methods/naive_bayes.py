"""The chapter's baseline: multinomial naive Bayes on counts of words, one label against the rest.

With augmentation it learns from changed copies of the texts too, one through each augmenter that can be used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from triage.errors import DataError
from triage.evaluate.augment import Augmenter, augmenters, synonyms_at
from triage.evaluate.augment_models import Suited, by_models
from triage.evaluate.method import Array, Means, Task, Texts, Told
from triage.evaluate.methods.one_against_rest import OneAgainstRest


class NaiveBayes:
    """See `triage.evaluate.method.Method`."""

    needs = "learn"
    learns = True

    def __init__(self, augmenting: Sequence[Augmenter] = (), name: str = "naive Bayes") -> None:
        self.name = name
        self._used = [one for one in augmenting if not one.unavailable()]
        self.lacks = {one.name: why for one in augmenting if (why := one.unavailable())}
        self.identity = f"multinomial counts 1 {[one.identity for one in self._used]}"

    def unavailable(self) -> str:
        """Never."""
        return ""

    @property
    def remarks(self) -> str:
        """What it learnt from besides the texts themselves, and what was not at hand."""
        used = f"changed copies by {', '.join(one.name for one in self._used)}" if self._used else ""
        lacking = "; ".join(f"without {name}: {why}" for name, why in self.lacks.items())
        return "; ".join(filter(None, (used, lacking)))

    def fit(self, task: Task) -> FittedBayes:
        """Raises DataError where no text holds a word."""
        texts, targets = list(task.labelled.texts), task.targets
        for number, augmenter in enumerate(self._used):
            suited = augmenter.suited(task) if isinstance(augmenter, Suited) else augmenter
            copies = suited.augment(task.labelled.texts, task.seed * len(self._used) + number)
            texts += copies
        return FittedBayes(texts, targets[[i % len(targets) for i in range(len(texts))]])


class FittedBayes:
    """Counts of the words that were there to learn from, and a model of each label."""

    def __init__(self, texts: Sequence[str], targets: Any) -> None:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.naive_bayes import MultinomialNB

        self._words = CountVectorizer()
        try:
            counts = self._words.fit_transform(texts)
        except ValueError:
            raise DataError("none of the texts to learn from holds a word") from None
        self._models = OneAgainstRest(MultinomialNB, counts, targets)

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.evaluate.method.Fitted`."""
        found = self._models.scores(self._words.transform(queries.texts))
        if progress:
            progress(len(queries))
        return found


def make(_means: Means) -> NaiveBayes:
    """The baseline."""
    return NaiveBayes()


def make_augmented(means: Means) -> NaiveBayes:
    """With every augmenter that works here without a model, and those of a model where one is at hand."""
    found = augmenters(synonyms_at(means.models.get("synonyms")))
    return NaiveBayes([*found, *by_models(means)], "naive Bayes, augmented")
