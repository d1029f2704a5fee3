"""One binary model for each label, all on the same features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from triage.evaluate.method import Array, Mask

# Inverse strengths of a logistic regression's regularisation, to choose from.
STRENGTHS = (1.0, 10.0, 100.0)


class Classifier(Protocol):
    """What scikit-learn's classifiers do, for two classes."""

    def fit(self, features: Any, truth: Any) -> Any: ...

    def predict_proba(self, features: Any) -> Any: ...


class OneAgainstRest:
    """`features` is a matrix [n, f], dense or sparse, `targets` [n, L].

    A label that no row carries, or every row, has no model: its share is its probability.
    """

    def __init__(self, make: Callable[[], Classifier], features: Any, targets: Mask) -> None:
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
