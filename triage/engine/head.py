"""The head: from an encoder's vector and a text to a space in which neighbours share labels.

A point is the square root of the probability of each label, as a linear model sees it in words and vector
together, beside the encoder's vector itself. The inner product of square roots is the Bhattacharyya
coefficient: two issues are near where the same labels are likely for both. numpy is all it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from triage.arrays import AnyArray, AnyFloats, Array, Floats, Halves, Ints32
from triage.engine.text_features import LEXICAL_VERSION, FeatureCounts, KeptFeatures, count
from triage.errors import BundleError

FORMAT = f"1.{LEXICAL_VERSION}"

# How much each view of a text, in the order of `lexical.SIZES`, and the vector weigh in the linear model.
# Short lines at half, since at the full they cost a point of F1; no other share tried moved it as much.
VIEW_SHARES = (2 / 11, 2 / 11, 2 / 11, 2 / 11, 1 / 11)
VECTOR_SHARE = 2 / 11


@dataclass(frozen=True)
class Head:
    """A projection, as learnt by `triage.learn.head.fit`; l labels, vectors of d numbers.

    The logit of each label is `lexical @ words + vector @ dense + intercept`, where `lexical` holds a text's
    features, those of `buckets` [f] weighted by `idf` [f]. The square roots of the probabilities are
    multiplied by `balance` [1] before they are joined to the vector.
    """

    buckets: Ints32
    idf: Halves
    words: Halves
    dense: Floats
    intercept: Floats
    balance: Floats

    def __post_init__(self) -> None:
        labels, features = len(self.intercept), len(self.buckets)
        shapes = {
            "buckets": (features,),
            "idf": (features,),
            "words": (features, labels),
            "dense": (len(self.dense), labels),
            "intercept": (labels,),
            "balance": (1,),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise BundleError(f"the head's array `{name}` has the shape {array.shape} instead of {shape}")
            if not np.isfinite(array).all():
                raise BundleError(f"the head's array `{name}` holds a number that is not finite")

    def project(self, texts: Sequence[str], vectors: Floats) -> Floats:
        """Unit vectors [n, d + l] of rendered texts and their unit encoder vectors [n, d].

        Raises BundleError where the vectors are not of the dimension that the head was learnt from.
        """
        if vectors.shape[1:] != (len(self.dense),):
            raise BundleError(
                f"the head was learnt from vectors of {len(self.dense)} numbers, not {vectors.shape[1]}"
            )
        features = count(texts).weighted(KeptFeatures(self.buckets, self.idf), VIEW_SHARES)
        logits = _product(features, self.words) + self.intercept
        for i, vector in enumerate(vectors):
            # Row by row: a product of matrices rounds otherwise with another number of rows.
            logits[i] += vector @ self.dense
        return self.join(sigmoid(logits), vectors)

    def join(self, probabilities: AnyFloats, vectors: Floats) -> Floats:
        """The points [n, d + l] of issues whose label probabilities [n, l] are known already."""
        points = np.hstack([vectors, np.sqrt(probabilities) * self.balance])
        points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
        return points.astype(np.float32)

    def arrays(self) -> dict[str, AnyArray]:
        """What `from_parts` needs, by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def settings(self) -> dict[str, str]:
        """What `from_parts` checks."""
        return {"format": FORMAT}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, AnyArray], settings: Mapping[str, object]) -> Head:
        """The inverse of `arrays` and `settings`; raises BundleError where they do not fit this program."""
        if settings.get("format") != FORMAT:
            raise BundleError(
                f"the head has the format {settings.get('format')!r}, this program reads {FORMAT!r}"
            )
        if set(arrays) != set(cls.__dataclass_fields__):
            raise BundleError(
                f"the head holds the arrays {sorted(arrays)} instead of {sorted(cls.__dataclass_fields__)}"
            )
        return cls(
            buckets=arrays["buckets"].astype(np.int32),
            idf=arrays["idf"].astype(np.float16),
            words=arrays["words"].astype(np.float16),
            dense=arrays["dense"].astype(np.float32),
            intercept=arrays["intercept"].astype(np.float32),
            balance=arrays["balance"].astype(np.float32),
        )


def sigmoid(logits: AnyFloats) -> Array:
    """Logits to probabilities, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), dtype=np.float64)


def _product(features: FeatureCounts, words: Halves) -> Floats:
    out = np.empty((len(features.ends) - 1, words.shape[1]), dtype=np.float32)
    for i, (start, end) in enumerate(zip(features.ends, features.ends[1:], strict=False)):
        out[i] = features.values[start:end] @ words[features.buckets[start:end]].astype(np.float32)
    return out
