"""Zero-shot classification by similarity: an issue's vector against the vectors of the labels' phrases.

Some labels are close to whatever an issue says ("question"), others to nothing ("P1"). So each label's mean
similarity over issues in general is subtracted: over the repository's own index where there is one, else over
the background vectors shipped beside the encoder. As similarity is an inner product, that is the issue's
vector minus the mean vector, times the label's vector. It is never taken over the batch: a decision does not
depend on its batch-mates.

Origin of the constants: `benchmarks/zero_shot.py`, seed 20, on 1,040 issues of 15 repositories that the encoder was
not trained on, by the names of their labels alone. Fitted on one half of the repositories and measured on the other,
both ways averaged; in brackets with all-MiniLM-L6-v2, which the encoder was trained from:

    micro-F1       macro-F1       mean average precision
    0.681 (0.520)  0.620 (0.505)  0.738 (0.626)   uncorrected
    0.663 (0.536)  0.613 (0.545)  0.738 (0.626)   corrected by background vectors
    0.647 (0.549)  0.624 (0.564)  0.738 (0.626)   corrected by the repository's own mean

So with this encoder the correction is worth nothing here. On bug, feature and question in five other repositories it
is: macro-F1 0.572 (0.436) uncorrected, 0.578 (0.479) by the background and 0.624 (0.533) by the own mean. Divided by
the standard deviation of each label's similarity as well, micro-F1 and the log loss get worse for the most part, so
that is not done. On all of them together the fit gives slope 15.02, intercept -1.066 and threshold 0.454 under the
background, 15.24, -0.813 and 0.384 under the own mean; one set of slope and intercept between them serves both. The
threshold is higher, "likelier than not": a first day of wrong labels is long remembered.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from triage.arrays import Floats
from triage.engine.encoder import Encoder
from triage.engine.model_folder import read_manifest
from triage.errors import ModelError
from triage.text import LabelText

BACKGROUND_FILE = "background.npy"


class SimilarityZeroShot:
    """Labels as vectors of the encoder; a raw score is a similarity above what is usual for the label."""

    name = "embedding"
    slope = 15.1
    intercept = -0.95
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
    def load(cls, encoder: Encoder) -> SimilarityZeroShot:
        """With the background vectors in the encoder's folder, where there are any; raises ModelError."""
        return cls(encoder, _background(encoder))

    def packed(self) -> PackedSimilarity:
        """See `ZeroShotModel`; the encoder is all it needs."""
        return PackedSimilarity()

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
                next_step="run `triage retrain`, or see `python -m triage.training.background --help`",
            )
        named = self._named(tuple(label.phrase for label in labels))
        # Summed row by row: a product of matrices rounds otherwise with another number of rows.
        scores = np.array([(named * (vector - usual)).sum(axis=1) for vector in vectors], dtype=np.float32)
        if progress:
            progress(len(vectors))
        return scores.reshape(len(vectors), len(labels))


class PackedSimilarity:
    """See `PackedZeroShot`."""

    def open(self, encoder: Encoder) -> SimilarityZeroShot:
        return SimilarityZeroShot.load(encoder)


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
