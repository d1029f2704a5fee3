"""How likely people are to label an issue at all, judged by its vector.

Issues without a label are of two kinds: nobody labelled them yet, or no label fits. Those that resemble labelled issues
are more likely of the first kind. Source: Elkan and Noto, Learning Classifiers from Only Positive and Unlabeled Data
(2008): a classifier of labelled against unlabelled issues, divided by what it gives labelled issues on average, is the
probability that a label fits, if people choose those that they label without regard to the text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triage.arrays import Array, Floats
from triage.errors import BundleError
from triage.metrics import sigmoid


@dataclass(frozen=True)
class Propensity:
    """A logistic on vectors [n, d]: `parameters` [d + 2] are its weights, its intercept, and its mean where labelled.

    Raises BundleError for a mean that is no probability.
    """

    parameters: Floats

    def __post_init__(self) -> None:
        if len(self.parameters) < 2 or not 0 < self.parameters[-1] <= 1:
            raise BundleError("the propensity to label is not a logistic with its mean")

    def of(self, vectors: Floats) -> Array:
        """[n]: the probability that some label fits, 1 for issues like those that people label."""
        weights, intercept, mean = self.parameters[:-2], self.parameters[-2], self.parameters[-1]
        # Row by row, since a product of matrices rounds differently with another number of rows.
        odds = np.array([float(vector @ weights) for vector in vectors]) + float(intercept)
        return np.asarray(np.minimum(1.0, sigmoid(odds) / float(mean)))
