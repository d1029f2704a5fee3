"""Zero-shot classification as the product does it by default: similarity to what a label's name and description say.

Each label's usual similarity is subtracted: over the issues without labels where there are enough of them, else
over the vectors shipped beside the encoder.
"""

from __future__ import annotations

from triage.engine.embedded import EmbeddedLabels
from triage.engine.zeroshot import LabelText, calibrated
from triage.errors import ModelError
from triage.evaluate.method import Array, Floats, Means, Task, Texts, Told

# A mean over fewer issues says less than the shipped vectors.
ENOUGH = 50


class Embedding:
    """See `triage.evaluate.method.Method`."""

    name = "zero-shot, embedding"
    needs = "learn"
    learns = False

    def __init__(self, labels: EmbeddedLabels) -> None:
        self._labels = labels
        self.identity = f"embedded {labels.digest}"

    def unavailable(self) -> str:
        """Never: the encoder is open."""
        return ""

    def fit(self, task: Task) -> FittedEmbedding:
        """Nothing is learnt from labels. Raises ModelError where the usual similarity is not known."""
        prior = usual(task)
        labels = [LabelText(name, task.descriptions.get(name, "")) for name in task.names]
        fitted = FittedEmbedding(self._labels, labels, prior)
        if prior is None:
            try:
                fitted.scores(Texts((), task.labelled.vectors[:0]))
            except ModelError:
                # Another encoder than the shipped one; the issues' texts say what is usual, their labels do not.
                return FittedEmbedding(self._labels, labels, task.labelled.vectors.mean(axis=0))
        return fitted


def usual(task: Task) -> Floats | None:
    """The mean vector [d] of the issues without labels; None where they are too few to tell."""
    return task.unlabelled.vectors.mean(axis=0) if len(task.unlabelled) >= ENOUGH else None


class FittedEmbedding:
    """Labels and the mean vector of issues in general."""

    def __init__(self, engine: EmbeddedLabels, labels: list[LabelText], prior: Floats | None) -> None:
        self._engine, self._labels, self._prior = engine, labels, prior

    def scores(self, queries: Texts, progress: Told | None = None) -> Array:
        """See `triage.evaluate.method.Fitted`."""
        raw = self._engine.raw(queries.texts, queries.vectors, self._labels, self._prior, progress=progress)
        return calibrated(raw, self._engine.slope, self._engine.intercept).astype(float)


def make(means: Means) -> Embedding:
    """The method, with the encoder of the configuration."""
    return Embedding(EmbeddedLabels.load(means.engines.encoder))
