"""Zero-shot classification by similarity: an issue's vector against the vectors of the labels' phrases.

Some labels are similar to every issue ("question"), others to none ("P1"). So each label's mean similarity is
subtracted: over the repository's index if there is one, else over the background vectors shipped with the encoder.
Since similarity is an inner product, the score is the issue's vector minus the mean vector, times the label's vector.
The mean is never taken over a batch, so that a decision does not depend on other issues.

Slope and intercept were fitted by `benchmarks/zero_shot.py` (benchmarks/README.md, "Zero-shot by similarity"). The
threshold is above the fitted one, since users long remember a first day of wrong labels.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from triage.arrays import Floats
from triage.engine.encoder import Encoder
from triage.errors import ModelError
from triage.text import LabelText

BACKGROUND_FILE = "background.npy"


class SimilarityZeroShot:
    """Labels as vectors of the encoder; a raw score is the similarity minus the label's mean similarity."""

    name = "embedding"
    slope = 18.6
    intercept = -1.09
    threshold = 0.5
    costly = False

    def __init__(self, encoder: Encoder, background: Floats | None) -> None:
        """`background` is a mean vector [dimension], or None for an encoder without one."""
        self._encoder = encoder
        self._background = background
        shift = b"" if background is None else background.astype("<f4").tobytes()
        # The same labels are scored for every issue.
        self._named = functools.lru_cache(maxsize=32)(encoder.encode)
        self.digest = hashlib.sha256(f"{encoder.digest} similarity ".encode() + shift).hexdigest()

    @classmethod
    def load(cls, encoder: Encoder) -> SimilarityZeroShot:
        """With the background vectors in the encoder's folder, if there are any; raises ModelError."""
        return cls(encoder, _background(encoder))

    def __reduce__(self) -> tuple[type[SimilarityZeroShot], tuple[object, ...]]:
        """Pickled without the cache."""
        return SimilarityZeroShot, (self._encoder, self._background)

    def raw(
        self,
        texts: Sequence[str],  # noqa: ARG002 - the Protocol's; similarity needs the vectors alone
        vectors: Floats,
        labels: Sequence[LabelText],
        prior: Floats | None = None,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Floats:
        """Similarities above the mean, float32 [len(vectors), labels], -2 to 2.

        `vectors` [n, dimension] are of unit length; `prior` [dimension] is the mean vector of the
        repository's index. Raises ModelError where there is neither a prior nor a background.
        """
        mean = self._background if prior is None else prior
        if mean is None:
            raise ModelError(
                f"{self._encoder.name} has no {BACKGROUND_FILE}, and there is no bundle yet",
                likely="the encoder is not the shipped one",
                next_step="run `triage retrain`, or see `python -m triage.training.background --help`",
            )
        named = self._named(tuple(label.phrase for label in labels))
        # Row by row, since a product of matrices rounds differently with another number of rows.
        scores = np.array([(named * (vector - mean)).sum(axis=1) for vector in vectors], dtype=np.float32)
        if progress:
            progress(len(vectors))
        return scores.reshape(len(vectors), len(labels))


def _background(encoder: Encoder) -> Floats | None:
    """The mean of the background vectors in the encoder's folder; None where it has none."""
    vectors = encoder.array(BACKGROUND_FILE)
    if vectors is None:
        return None
    if vectors.shape[1:] != (encoder.dimension,) or not len(vectors) or not np.isfinite(vectors).all():
        path = encoder.folder / BACKGROUND_FILE
        raise ModelError(f"{path} holds {vectors.shape}, not finite rows of {encoder.dimension} numbers")
    mean: Floats = vectors.mean(axis=0, dtype=np.float32)
    return mean
