"""Zero-shot classification: labels scored by their names and descriptions, without any example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from triage.arrays import Floats
from triage.config import ZeroShotConfig as Settings
from triage.engine.concepts import ConceptHead, ConceptZeroShot
from triage.engine.encoder import Encoder
from triage.engine.model_folder import BUILTIN, Pins, resolve
from triage.engine.zero_shot.entailment import EntailmentZeroShot
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.metrics import sigmoid
from triage.text import LabelText

__all__ = ["LabelText", "ZeroShotModel", "calibrated", "open_zero_shot"]

EMBEDDING = "embedding"


class ZeroShotModel(Protocol):
    """Scores any label on any text.

    `digest` (hex) identifies the scores: equal digests, equal scores. `slope` and `intercept` turn a raw score into a
    probability, see `calibrated`; `threshold` on it (0 to 1) is for a repository without labelled issues to tune one.
    A `costly` model runs for every pair of text and label. Models can be pickled, for workers in other processes.
    """

    name: str
    digest: str
    threshold: float
    costly: bool
    slope: float
    intercept: float

    def raw(
        self,
        texts: Sequence[str],
        vectors: Floats,
        labels: Sequence[LabelText],
        prior: Floats | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Scores as float32 [texts, labels], comparable between labels; higher is likelier.

        `vectors` [texts, dimension] are the encoder's for the same texts; `prior` [dimension] is the mean over the
        repository's index, if there is one; `progress` gets the number of texts done. Raises ModelError.
        """


def calibrated(raw: Floats, slope: float, intercept: float) -> Floats:
    """sigmoid(slope * raw + intercept): scores 0 to 1 of any shape, in the order of `raw` for a positive slope."""
    return sigmoid(slope * raw.astype(np.float64) + intercept).astype(np.float32)


def open_zero_shot(settings: Settings, encoder: Encoder) -> ZeroShotModel:
    """The model that the configuration names; concepts and similarity are by the vectors of `encoder`.

    Raises ModelError, and UnavailableError where a pinned hub model cannot be downloaded.
    """
    if settings.model in {BUILTIN, EMBEDDING}:
        similar, head = SimilarityZeroShot.load(encoder), ConceptHead.load(encoder)
        return ConceptZeroShot(head, similar) if head and settings.model == BUILTIN else similar
    folder = resolve(settings.model, Pins(settings.revision, settings.sha256))
    return EntailmentZeroShot(folder, settings.template)
