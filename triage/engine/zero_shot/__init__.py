"""Zero-shot classification: labels scored by what their names and descriptions say, without any example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from triage.arrays import Floats
from triage.config import ZeroShotConfig as Settings
from triage.engine.encoder import Encoder
from triage.engine.model_folder import Pins, read_manifest, resolve
from triage.engine.zero_shot.cross_encoder import CrossEncoder
from triage.engine.zero_shot.entailment import EntailmentZeroShot
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.metrics import sigmoid
from triage.text import LabelText

__all__ = ["BUILTIN_ZERO_SHOT", "LabelText", "ZeroShot", "calibrated", "open_zero_shot"]

EMBEDDING = "embedding"
BUILTIN_ZERO_SHOT = "issue-judge"


class ZeroShotModel(Protocol):
    """A way to score any label on any text.

    `digest` (hex) changes with whatever changes the numbers. `slope` and `intercept` make a raw score a
    probability, see `calibrated`; `costly` tells whether every pair of text and label is judged by itself;
    `threshold` (0 to 1, on that probability) is for a repository that has no
    labelled issue to tune one on.
    """

    name: str
    digest: str
    threshold: float
    costly: bool
    slope: float
    intercept: float

    def packed(self) -> PackedZeroShot:
        """The same model by content, to be opened in another process; raises ModelError."""
        ...

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

        `vectors` [texts, dimension] are the encoder's for the same texts, `prior` [dimension] is the mean of
        the repository's own where it has an index; `progress` gets the number of texts done.
        Raises ModelError.
        """
        ...


class PackedZeroShot(Protocol):
    """A zero-shot model as a value that can be sent to another process."""

    def open(self, encoder: Encoder, /) -> ZeroShotModel:
        """Open it beside the encoder; raises ModelError."""
        ...


def calibrated(raw: Floats, slope: float, intercept: float) -> Floats:
    """sigmoid(slope * raw + intercept): scores 0 to 1 of any shape, in the same order for a slope above 0."""
    return sigmoid(slope * raw.astype(np.float64) + intercept).astype(np.float32)


def open_zero_shot(settings: Settings, encoder: Encoder) -> ZeroShotModel:
    """What the configuration names: similarity under `encoder`, or an entailment model.

    Raises ModelError, and UnavailableError where a pinned hub model cannot be downloaded.
    """
    if settings.model == EMBEDDING:
        return SimilarityZeroShot.load(encoder)
    pins = Pins(settings.revision, settings.sha256)
    folder = resolve(settings.model, pins, BUILTIN_ZERO_SHOT)
    joint = read_manifest(folder).layout == "joint"
    if joint:
        return CrossEncoder(folder, SimilarityZeroShot.load(encoder))
    return EntailmentZeroShot.load(folder, settings.template)
