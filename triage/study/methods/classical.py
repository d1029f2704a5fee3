"""One binary classifier for each label: multinomial naive Bayes on word counts, or logistic regression on TF-IDF.

Naive Bayes is the chapter's baseline; with augmentation it also learns from changed copies of the texts, one by each
augmenter that can be used. TF-IDF of words and pairs of words is the usual first attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from triage.arrays import Array, Mask
from triage.errors import DataError
from triage.study.augment import Augmenter, augmenters, by_models, synonyms_at
from triage.study.protocol import Fitted, LabellingTask, Method, MethodContext, Texts

# Inverse strengths of a logistic regression's regularisation, to choose from.
STRENGTHS = (1.0, 10.0, 100.0)
# In fewer texts than this a pair of words rarely occurs twice.
ENOUGH = 32


class OneAgainstRest:
    """A classifier of scikit-learn for each label; `features` [n, f] are dense or sparse, `targets` [n, L].

    A label that no row carries, or every row, has no model: its share is its probability.
    """

    def __init__(self, make: Callable[[], Any], features: Any, targets: Mask) -> None:
        self._models = [
            make().fit(features, truth) if truth.any() and not truth.all() else float(truth.mean())
            for truth in targets.T
        ]

    def scores(self, features: Any) -> Array:
        """The probability of each label, [q, L]."""
        scores = np.zeros((features.shape[0], len(self._models)))
        for j, model in enumerate(self._models):
            scores[:, j] = model if isinstance(model, float) else model.predict_proba(features)[:, 1]
        return scores


def _vectorized(vectorizer: Any, texts: Sequence[str]) -> Any:
    """Fit and transform; raises DataError where no text holds a word."""
    try:
        return vectorizer.fit_transform(texts)
    except ValueError:
        raise DataError("none of the texts to learn from holds a word") from None


class NaiveBayes(Method):
    """The baseline."""

    name = "naive Bayes"

    def __init__(self, context: MethodContext, augmenting: Sequence[Augmenter] = ()) -> None:
        super().__init__(context)
        self._lacks = {one.name: why for one in augmenting if (why := one.unavailable())}
        self._used = [one for one in augmenting if one.name not in self._lacks]
        self.identity = f"multinomial counts 1 {[one.identity for one in self._used]}"

    @property
    def remarks(self) -> str:
        """The augmenters used, and what the others lack."""
        used = f"changed copies by {', '.join(one.name for one in self._used)}" if self._used else ""
        return "; ".join(
            filter(None, (used, *(f"without {name}: {why}" for name, why in self._lacks.items())))
        )

    def fit(self, task: LabellingTask) -> FittedBayes:
        """Raises DataError where no text holds a word."""
        texts, targets = list(task.labelled.texts), task.targets
        for number, augmenter in enumerate(self._used):
            adapted = augmenter.adapted(task)
            texts += adapted.augment(task.labelled.texts, task.seed * len(self._used) + number)
        return FittedBayes(texts, targets[[i % len(targets) for i in range(len(texts))]])


class AugmentedNaiveBayes(NaiveBayes):
    """It also learns from copies by every augmenter that needs no model, and by those whose model was named."""

    name = "naive Bayes, augmented"

    def __init__(self, context: MethodContext) -> None:
        simple = augmenters(synonyms_at(context.models.get("synonyms")))
        super().__init__(context, [*simple, *by_models(context)])


class FittedBayes(Fitted):
    """Word counts, and a model of each label."""

    def __init__(self, texts: Sequence[str], targets: Mask) -> None:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.naive_bayes import MultinomialNB

        self._counts = CountVectorizer()
        self._models = OneAgainstRest(MultinomialNB, _vectorized(self._counts, texts), targets)

    def scores(self, queries: Texts) -> Array:
        return self._models.scores(self._counts.transform(queries.texts))


class Tfidf(Method):
    """Logistic regression on TF-IDF; the strength of its regularisation is chosen on validation."""

    name = "TF-IDF logistic regression"
    identity = f"tfidf 1-2 sublinear liblinear {STRENGTHS} 1"

    def fit(self, task: LabellingTask) -> FittedTfidf:
        """Raises DataError where no text holds a word."""
        return FittedTfidf(task)


class FittedTfidf(Fitted):
    """One set of models for each strength."""

    def __init__(self, task: LabellingTask) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        least = 2 if len(task.labelled) >= ENOUGH else 1
        self._weights = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=least)
        features = _vectorized(self._weights, task.labelled.texts)
        self._models = {
            f"C = {c:g}": OneAgainstRest(
                partial(LogisticRegression, solver="liblinear", C=c), features, task.targets
            )
            for c in STRENGTHS
        }

    def choices(self, queries: Texts) -> Mapping[str, Array]:
        """The scores by strength."""
        features = self._weights.transform(queries.texts)
        return {setting: models.scores(features) for setting, models in self._models.items()}

    def scores(self, queries: Texts) -> Array:
        """Under the middle strength."""
        return self.choices(queries)[f"C = {STRENGTHS[1]:g}"]
