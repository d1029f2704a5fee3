"""What the product is measured against: four methods that answer with a score for each label.

Each is fitted on the known rows of a fold and asked about its queries. Its threshold, and its setting where it
has several, is the one with the best micro-F1 over all queries of the tuning window; it is then fitted anew on
everything known before the test window. So each sees exactly the rows that the product sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from triage.arrays import Array, Floats, Mask
from triage.decide.rules import K_MAX, tally
from triage.engine.index import Index
from triage.learn.dataset import Dataset, Fold, Split
from triage.study.methods.classical import STRENGTHS, OneAgainstRest
from triage.study.run import choose

Setting = float
# The k of the vote that tuning chooses from.
KS = range(1, K_MAX + 1)


@dataclass(frozen=True)
class Answer:
    """Predictions for the test window with one threshold, with one for each label, and the scores: [n, L]."""

    predicted: Mask
    by_label: Mask
    scores: Array
    setting: Setting


@dataclass(frozen=True)
class Material:
    """Labelled issues and their vectors [n, d], as all methods see them."""

    data: Dataset
    vectors: Floats

    @cached_property
    def words(self) -> csr_matrix:
        return CountVectorizer().fit_transform(self._texts)

    @cached_property
    def phrases(self) -> csr_matrix:
        """Single words and pairs."""
        return CountVectorizer(ngram_range=(1, 2)).fit_transform(self._texts)

    @property
    def _texts(self) -> list[str]:
        return [issue.text for issue in self.data.issues]


Scores = Mapping[Setting, Array]
Method = Callable[[Material, Fold], Scores]


def naive_bayes(material: Material, fold: Fold) -> Scores:
    """Multinomial, from the counts of words, one against the rest."""
    known, query = material.words[fold.known], material.words[fold.query]
    return {0: OneAgainstRest(MultinomialNB, known, material.data.targets[fold.known]).scores(query)}


def tfidf_regression(material: Material, fold: Fold) -> Scores:
    """Logistic regression on TF-IDF of words and pairs of words that two known issues hold at least."""
    known = material.phrases[fold.known]
    common = np.flatnonzero(np.bincount(known.indices, minlength=known.shape[1]) >= 2)
    weights = TfidfTransformer(sublinear_tf=True).fit(known[:, common])
    return regression(
        weights.transform(known[:, common]),
        material.data.targets[fold.known],
        weights.transform(material.phrases[fold.query][:, common]),
    )


def vector_regression(material: Material, fold: Fold) -> Scores:
    """Logistic regression on the encoder's vectors."""
    targets = material.data.targets[fold.known]
    return regression(material.vectors[fold.known], targets, material.vectors[fold.query])


def plain_vote(material: Material, fold: Fold) -> Scores:
    """The chapter's vote: the number of the k nearest that carry a label, every one counting the same."""
    order = [key[::-1] for key in material.data.keys(fold.known)]
    similarities, at = Index(material.vectors[fold.known], order).search(material.vectors[fold.query])
    carries = material.data.targets[fold.known][np.maximum(at, 0)] & (at >= 0)[..., None]
    return {k: tally(np.isfinite(similarities).astype(float), carries, k) for k in KS}


METHODS: Mapping[str, Method] = {
    "naive Bayes": naive_bayes,
    "TF-IDF logistic regression": tfidf_regression,
    "vector logistic regression": vector_regression,
    "plain k/m vote": plain_vote,
}


def regression(known: csr_matrix | Floats, targets: Mask, query: csr_matrix | Floats) -> Scores:
    """Scores by strength of regularisation."""
    return {
        c: OneAgainstRest(partial(LogisticRegression, solver="liblinear", C=c), known, targets).scores(query)
        for c in STRENGTHS
    }


def answer(method: Method, material: Material, windows: Split) -> Answer:
    """Tuned on the tuning window, asked about the test window."""
    folds = [method(material, fold) for fold in windows.tune]
    truth = np.concatenate([material.data.targets[fold.query] for fold in windows.tune])
    tuned = {setting: np.concatenate([fold[setting] for fold in folds]) for setting in folds[0]}
    chosen = {setting: choose(truth, scores) for setting, scores in tuned.items()}
    best = max(chosen, key=lambda setting: chosen[setting][1])
    thresholds, scores = chosen[best][0], method(material, windows.test)[best]
    return Answer(thresholds.one(scores), thresholds.each(scores), scores, best)
