"""Logistic regression on TF-IDF of words and pairs of words, one label against the rest: what one would try first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from triage.errors import DataError
from triage.evaluate.method import Array, Means, Task, Texts, Told
from triage.evaluate.methods.one_against_rest import STRENGTHS, OneAgainstRest

# In fewer texts than this a pair of words in two of them is the exception.
ENOUGH = 32


class Tfidf:
    """See `triage.evaluate.method.Method`; the strength of its regularisation is chosen on validation."""

    name = "TF-IDF logistic regression"
    needs = "learn"
    learns = True
    identity = f"tfidf 1-2 sublinear liblinear {STRENGTHS} 1"

    def unavailable(self) -> str:
        """Never."""
        return ""

    def fit(self, task: Task) -> FittedTfidf:
        """Raises DataError where no text holds a word."""
        return FittedTfidf(task)


class FittedTfidf:
    """One set of models for each strength."""

    def __init__(self, task: Task) -> None:
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
        """See `triage.evaluate.method.Graded`."""
        features = self._weights.transform(queries.texts)
        return {setting: models.scores(features) for setting, models in self._models.items()}

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """Under the middle strength."""
        found = self.choices(queries)
        if progress:
            progress(len(queries))
        return found[f"C = {STRENGTHS[1]:g}"]


def make(_means: Means) -> Tfidf:
    """The method."""
    return Tfidf()
