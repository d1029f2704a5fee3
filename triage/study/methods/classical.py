"""One binary model for each label, all on the same features.

The chapter's baseline: multinomial naive Bayes on counts of words, one label against the rest.

With augmentation it learns from changed copies of the texts too, one through each augmenter that can be used.

Logistic regression on TF-IDF of words and pairs of words, one label against the rest: what one would try first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from triage.arrays import Array, Mask
from triage.errors import DataError
from triage.study.augment import Augmenter, Suited, augmenters, by_models, synonyms_at
from triage.study.protocol import LabellingTask, MethodContext, Texts, Told

# Inverse strengths of a logistic regression's regularisation, to choose from.
STRENGTHS = (1.0, 10.0, 100.0)


class BinaryClassifier(Protocol):
    """What scikit-learn's classifiers do, for two classes."""

    def fit(self, features: Any, truth: Any) -> Any: ...

    def predict_proba(self, features: Any) -> Any: ...


class OneAgainstRest:
    """`features` is a matrix [n, f], dense or sparse, `targets` [n, L].

    A label that no row carries, or every row, has no model: its share is its probability.
    """

    def __init__(self, make: Callable[[], BinaryClassifier], features: Any, targets: Mask) -> None:
        self._models = [
            make().fit(features, truth) if truth.any() and not truth.all() else float(truth.mean())
            for truth in targets.T
        ]

    def scores(self, features: Any) -> Array:
        """The probability of each label, [q, L]."""
        found = np.zeros((features.shape[0], len(self._models)))
        for j, model in enumerate(self._models):
            found[:, j] = model if isinstance(model, float) else model.predict_proba(features)[:, 1]
        return found


class NaiveBayes:
    """See `triage.study.protocol.Method`."""

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

    def fit(self, task: LabellingTask) -> FittedBayes:
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
        """See `triage.study.protocol.Fitted`."""
        found = self._models.scores(self._words.transform(queries.texts))
        if progress:
            progress(len(queries))
        return found


def make_naive_bayes(_means: MethodContext) -> NaiveBayes:
    """The baseline."""
    return NaiveBayes()


def make_augmented(means: MethodContext) -> NaiveBayes:
    """With every augmenter that works here without a model, and those of a model where one is at hand."""
    found = augmenters(synonyms_at(means.models.get("synonyms")))
    return NaiveBayes([*found, *by_models(means)], "naive Bayes, augmented")


# In fewer texts than this a pair of words in two of them is the exception.
ENOUGH = 32


class Tfidf:
    """See `triage.study.protocol.Method`; the strength of its regularisation is chosen on validation."""

    name = "TF-IDF logistic regression"
    needs = "learn"
    learns = True
    identity = f"tfidf 1-2 sublinear liblinear {STRENGTHS} 1"

    def unavailable(self) -> str:
        """Never."""
        return ""

    def fit(self, task: LabellingTask) -> FittedTfidf:
        """Raises DataError where no text holds a word."""
        return FittedTfidf(task)


class FittedTfidf:
    """One set of models for each strength."""

    def __init__(self, task: LabellingTask) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        least = 2 if len(task.labelled) >= ENOUGH else 1
        self._weights = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=least)
        try:
            features = self._weights.fit_transform(task.labelled.texts)
        except ValueError:
            raise DataError("none of the texts to learn from holds a word") from None
        self._models = {
            f"C = {c:g}": OneAgainstRest(
                partial(LogisticRegression, solver="liblinear", C=c), features, task.targets
            )
            for c in STRENGTHS
        }

    def choices(self, queries: Texts) -> Mapping[str, Array]:
        """See `triage.study.protocol.Graded`."""
        features = self._weights.transform(queries.texts)
        return {setting: models.scores(features) for setting, models in self._models.items()}

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """Under the middle strength."""
        found = self.choices(queries)
        if progress:
            progress(len(queries))
        return found[f"C = {STRENGTHS[1]:g}"]


def make_tfidf(_means: MethodContext) -> Tfidf:
    """The method."""
    return Tfidf()
