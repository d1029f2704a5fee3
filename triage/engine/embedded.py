"""Zero-shot classification by similarity: an issue's vector against the vectors of the labels' phrases.

Some labels are close to whatever an issue says ("question"), others to nothing ("P1"). So each label's mean
similarity over issues in general is subtracted: over the repository's own index where there is one, else over
the background vectors shipped beside the encoder. As similarity is an inner product, that is the issue's
vector minus the mean vector, times the label's vector. It is never taken over the batch: a decision does not
depend on its batch-mates.

Origin of the constants: `benchmarks/zero_shot.py`, seed 20, on 5,180 issues of 72 repositories and the names
of their labels alone. Fitted on one half of the repositories and measured on the other, both ways averaged:

    micro-F1  macro-F1  mean average precision
    0.502     0.486     0.597   uncorrected
    0.515     0.526     0.597   corrected by background vectors, of the fitted half's repositories
    0.518     0.537     0.597   corrected by the repository's own mean

Divided by the standard deviation of each label's similarity as well: 0.519, 0.527 and 0.522, 0.539, within
the noise, and the log loss gets worse, so that is not done. On all repositories together the fit gives slope
8.99, intercept -0.753 and threshold 0.317 under the background, 10.13, -0.671 and 0.294 under the own mean;
one set of slope and intercept between them serves both. The threshold is higher, "likelier than not": at 0.3 the
precision is 0.40, with described labels F1 is no worse at 0.5, and a first day of wrong labels is long remembered.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from triage.engine.encoder import Encoder
from triage.engine.models import read_manifest
from triage.engine.onnx import Floats
from triage.engine.phrases import LabelText
from triage.errors import ModelError

BACKGROUND_FILE = "background.npy"


class EmbeddedLabels:
    """Labels as vectors of the encoder; a raw score is a similarity above what is usual for the label."""

    name = "embedding"
    slope = 9.5
    intercept = -0.7
    threshold = 0.5
    costly = False

    def __init__(self, encoder: Encoder, background: Floats | None) -> None:
        """`background` is a mean vector [dimension]; None where the encoder has none beside it."""
        self._encoder = encoder
        self._background = background
        shift = b"" if background is None else background.astype("<f4").tobytes()
        # One issue after another asks about the same labels.
        self._named = functools.lru_cache(maxsize=32)(encoder.encode)
        self.digest = hashlib.sha256(f"{encoder.digest} similarity ".encode() + shift).hexdigest()

    @classmethod
    def load(cls, encoder: Encoder) -> EmbeddedLabels:
        """With the background vectors in the encoder's folder, where there are any; raises ModelError."""
        return cls(encoder, _background(encoder))

    def raw(
        self,
        texts: Sequence[str],  # noqa: ARG002 - the Protocol's; similarity needs the vectors alone
        vectors: Floats,
        labels: Sequence[LabelText],
        prior: Floats | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Similarities above the usual, float32 [len(vectors), labels], -2 to 2.

        `vectors` [n, dimension] are of unit length; `prior` [dimension] is the mean vector of the
        repository's index. Raises ModelError where there is neither a prior nor a background.
        """
        usual = self._background if prior is None else prior
        if usual is None:
            raise ModelError(
                f"{self._encoder.name} has no {BACKGROUND_FILE}, and the repository was not learnt from yet",
                likely="the encoder is not the shipped one",
                next_step="run `triage retrain`, or see `python -m triage.learn.background --help`",
            )
        named = self._named(tuple(label.phrase for label in labels))
        # Summed row by row: a product of matrices rounds otherwise with another number of rows.
        scores = np.array([(named * (vector - usual)).sum(axis=1) for vector in vectors], dtype=np.float32)
        if progress:
            progress(len(vectors))
        return scores.reshape(len(vectors), len(labels))


def _background(encoder: Encoder) -> Floats | None:
    """The mean of the vectors beside the encoder; they were checked when it was opened."""
    path = encoder.folder / BACKGROUND_FILE
    if BACKGROUND_FILE not in read_manifest(encoder.folder).files:
        return None
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    if vectors.shape[1:] != (encoder.dimension,) or not len(vectors) or not np.isfinite(vectors).all():
        raise ModelError(f"{path} holds {vectors.shape}, not finite rows of {encoder.dimension} numbers")
    mean: Floats = vectors.mean(axis=0, dtype=np.float32)
    return mean
