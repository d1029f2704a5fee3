"""Zero-shot classification: labels scored by what their names and descriptions say, without any example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from triage.config import ZeroShot as Settings
from triage.engine.embedded import EmbeddedLabels
from triage.engine.encoder import Encoder
from triage.engine.entailment import Entailment
from triage.engine.joint import Joint
from triage.engine.models import Pins, read_manifest, resolve
from triage.engine.onnx import Floats
from triage.engine.phrases import LabelText

__all__ = ["BUILTIN_ZERO_SHOT", "LabelText", "ZeroShot", "calibrated", "open_zero_shot"]

EMBEDDING = "embedding"
BUILTIN_ZERO_SHOT = "issue-judge"


class ZeroShot(Protocol):
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


def calibrated(raw: Floats, slope: float, intercept: float) -> Floats:
    """sigmoid(slope * raw + intercept): scores 0 to 1 of any shape, in the same order for a slope above 0."""
    # By tanh it neither overflows nor loses the small end.
    scores: Floats = (0.5 + 0.5 * np.tanh(0.5 * (slope * raw.astype(np.float64) + intercept))).astype(
        np.float32
    )
    return scores


def open_zero_shot(settings: Settings, encoder: Encoder) -> ZeroShot:
    """What the configuration names: similarity under `encoder`, or an entailment model.

    Raises ModelError, and UnavailableError where a pinned hub model cannot be downloaded.
    """
    if settings.model == EMBEDDING:
        return EmbeddedLabels.load(encoder)
    pins = Pins(settings.revision, settings.sha256)
    folder = resolve(settings.model, pins, BUILTIN_ZERO_SHOT)
    joint = read_manifest(folder).layout == "joint"
    if joint:
        return Joint(folder, EmbeddedLabels.load(encoder))
    return Entailment.load(folder, settings.template)
