"""The head: from an encoder's vector and a text to a space in which neighbours share labels.

A point is the encoder's vector joined with the square root of each label's probability under a linear model of words
and vector. The inner product of square roots is the Bhattacharyya coefficient: two issues are near if the same labels
are likely for both. Needs numpy only.

The linear model's features are hashed words, pieces of words, title, opening and short lines, and of a pull request the
folders and names of its changed files: each is a bucket, the CRC-32 of the token, so no text can be read back from a
bundle. Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009).

Besides, how likely people are to label an issue at all, judged by its vector. Issues without a label are of two kinds:
nobody labelled them yet, or no label fits. Those that resemble labelled issues are more likely of the first kind.
Source: Elkan and Noto, Learning Classifiers from Only Positive and Unlabeled Data (2008): a classifier of labelled
against unlabelled issues, divided by what it gives labelled issues on average, is the probability that a label fits, if
people choose those that they label without regard to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from zlib import crc32

import numpy as np

from triage.arrays import AnyArray, AnyFloats, Array, Floats, Halves, Ints, Ints32
from triage.errors import BundleError
from triage.issue import FILES_LEARNT

# Part of every head's settings: raise it with any change to what `count` returns.
LEXICAL_VERSION = 1

# Question marks separate questions from reports; other punctuation did not help.
_TOKEN = re.compile(r"\w+|[?!]")
_NAME_WORD = re.compile(r"[^\W\d_]{2,}")
# Longer tokens are dumps, not words.
MAX_TOKEN = 40
PIECES = (3, 4, 5)
OPENING = 40
SHORT_LINE = 40
# In the order of `_views`; the last is that of the changed files.
SIZES = (1 << 17, 1 << 17, 1 << 16, 1 << 16, 1 << 14, 1 << 16)
STARTS = (0, *accumulate(SIZES))
BUCKETS = STARTS[-1]
# Of the path of a changed file, so many characters and folders are read.
MAX_PATH, MAX_DEPTH = 300, 8

# The files that a pull request changes; none for an issue.
Paths = Sequence[str]

FORMAT = f"1.{LEXICAL_VERSION}"
# The kinds of the arrays that are not float32.
KINDS: Mapping[str, type[np.generic]] = {"buckets": np.int32, "idf": np.float16, "words": np.float16}
# Sums of weights stay finite far beyond this; buckets are below it too.
MAX_WEIGHT = 1e6

# The weight of each view of a text, in the order of SIZES, and of the vector in the linear model. Short lines weigh
# half, since in full they cost a point of F1; no other weight tried changed it as much. Files weigh double.
VIEW_SHARES = (2 / 11, 2 / 11, 2 / 11, 2 / 11, 1 / 11, 4 / 11)
VECTOR_SHARE = 2 / 11


@dataclass(frozen=True)
class Head:
    """A projection, learnt by `triage.learn.head.fit`, for l labels and vectors of d numbers.

    The logit of each label is `features @ words + vector @ dense + intercept`, where a text's features are those of
    `buckets` [f], weighted by `idf` [f]. The square roots of the probabilities are multiplied by `balance` [1] before
    they are joined to the vector. Raises BundleError for shapes that do not match and numbers that are not finite.
    """

    buckets: Ints32
    idf: Halves
    words: Halves
    dense: Floats
    intercept: Floats
    balance: Floats

    def __post_init__(self) -> None:
        labels, features = len(self.intercept), len(self.buckets)
        shapes = (features,), (features,), (features, labels), (len(self.dense), labels), (labels,), (1,)
        for (name, array), shape in zip(self.arrays().items(), shapes, strict=True):
            if array.shape != shape:
                raise BundleError(f"the head's array `{name}` has the shape {array.shape} instead of {shape}")
            if not (np.abs(array.astype(np.float32)) <= MAX_WEIGHT).all():
                raise BundleError(
                    f"the head's array `{name}` holds a number that is not finite, or out of range"
                )
        known = self.buckets[:1] >= 0, self.buckets[-1:] < BUCKETS, np.diff(self.buckets) > 0, self.idf > 0
        if not all(found.all() for found in known):
            raise BundleError("the buckets of the head are not ascending numbers of features")

    def project(self, counts: FeatureCounts, vectors: Floats) -> Floats:
        """Unit vectors [n, d + l] of texts with these features and unit encoder vectors [n, d]; see `probabilities`."""
        return self.join(self.probabilities(counts, vectors), vectors)

    def probabilities(self, counts: FeatureCounts, vectors: Floats) -> AnyFloats:
        """The probability of each label [n, l] on texts with these features.

        Raises BundleError where the vectors are not of the dimension that the head was learnt from.
        """
        if vectors.shape[1:] != (len(self.dense),):
            raise BundleError(
                f"the head was learnt from vectors of {len(self.dense)} numbers, not {vectors.shape[1]}"
            )
        features = counts.weighted(KeptFeatures(self.buckets, self.idf), VIEW_SHARES)
        logits = np.tile(self.intercept, (len(vectors), 1))
        for i, (start, end) in enumerate(pairwise(features.ends)):
            # Row by row, since a product of matrices rounds differently with another number of rows.
            words = self.words[features.buckets[start:end]].astype(np.float32)
            logits[i] = features.values[start:end] @ words + self.intercept + vectors[i] @ self.dense
        return sigmoid(logits)

    def join(self, probabilities: AnyFloats, vectors: Floats) -> Floats:
        """The points [n, d + l] of issues with label probabilities [n, l]."""
        points = np.hstack([vectors, np.sqrt(probabilities) * self.balance])
        points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
        return points.astype(np.float32)

    def arrays(self) -> dict[str, AnyArray]:
        """The arrays for `from_parts`, by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def settings(self) -> dict[str, str]:
        """The settings that `from_parts` checks."""
        return {"format": FORMAT}

    @classmethod
    def from_parts(cls, arrays: Mapping[str, AnyArray], settings: Mapping[str, object]) -> Head:
        """The inverse of `arrays` and `settings`; raises BundleError for another format or other arrays."""
        if settings.get("format") != FORMAT:
            raise BundleError(
                f"the head has the format {settings.get('format')!r}, this program reads {FORMAT!r}"
            )
        if set(arrays) != set(cls.__dataclass_fields__):
            raise BundleError(
                f"the head holds the arrays {sorted(arrays)} instead of {sorted(cls.__dataclass_fields__)}"
            )
        for name, array in arrays.items():
            if array.dtype != KINDS.get(name, np.float32):
                raise BundleError(f"the head's array `{name}` holds {array.dtype}")
        return cls(**arrays)  # type: ignore[arg-type]  # of the kinds just checked


@dataclass(frozen=True)
class FeatureCounts:
    """The features of n texts; those of text i are in `[ends[i] : ends[i + 1]]`.

    `buckets` ascend within a row; `values` are one plus the logarithm of the count.
    """

    ends: Ints
    buckets: Ints32
    values: Floats

    def rows(self) -> Ints:
        """The text of each feature."""
        return np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends))

    def of(self, texts: Ints) -> FeatureCounts:
        """The features of these texts."""
        lengths = np.diff(self.ends)[texts]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        at = np.arange(ends[-1]) + np.repeat(self.ends[texts] - ends[:-1], lengths)
        return FeatureCounts(ends, self.buckets[at], self.values[at])

    def weighted(self, kept: KeptFeatures, shares: Sequence[float]) -> FeatureCounts:
        """The features that are `kept`, as indices into `kept.buckets`.

        Values are multiplied by the inverse document frequency, then each view of each text is scaled to the length
        sqrt(its share).
        """
        places = np.full(BUCKETS, -1, dtype=np.int32)
        places[kept.buckets] = np.arange(len(kept.buckets))
        at = places[self.buckets]
        is_kept = at >= 0
        at, rows, n = at[is_kept], self.rows()[is_kept], len(self.ends) - 1
        values = self.values[is_kept] * kept.idf.astype(np.float32)[at]
        view = np.searchsorted(STARTS[1:], kept.buckets, side="right")[at]
        cell = rows * len(SIZES) + view
        squares = np.bincount(cell, values**2, minlength=n * len(SIZES))
        scale = np.sqrt(np.asarray(shares)[view] / squares[cell])
        ends = np.searchsorted(rows, np.arange(n + 1))
        return FeatureCounts(ends, at, (values * scale).astype(np.float32))


@dataclass(frozen=True)
class KeptFeatures:
    """The f buckets of the linear model, ascending, with their inverse document frequencies."""

    buckets: Ints32
    idf: Halves

    @classmethod
    def of(cls, counts: FeatureCounts, *, least: int, most: int) -> KeptFeatures:
        """The `most` buckets that occur in the most texts, without those that occur in fewer than `least`."""
        n = len(counts.ends) - 1
        texts = np.bincount(counts.buckets, minlength=BUCKETS)
        often = np.argsort(-texts, kind="stable")[:most]
        buckets = np.sort(often[texts[often] >= least])
        idf = np.log((1 + n) / (1 + texts[buckets])) + 1
        return cls(buckets.astype(np.int32), idf.astype(np.float16))


def count(texts: Sequence[str], files: Sequence[Paths] = ()) -> FeatureCounts:
    """The features of rendered texts, whose first line is the title, and of the `files` that go with each."""
    pairs = zip(texts, files or [()] * len(texts), strict=True)
    counted = [_counted(text, paths) for text, paths in pairs]
    ends = np.fromiter(accumulate((len(b) for b, _ in counted), initial=0), dtype=np.int64)
    buckets = [np.empty(0, np.int32), *(b for b, _ in counted)]
    counts = [np.empty(0, np.int64), *(n for _, n in counted)]
    values = 1 + np.log(np.concatenate(counts))
    return FeatureCounts(ends, np.concatenate(buckets), values.astype(np.float32))


def _counted(text: str, paths: Paths) -> tuple[Ints32, Ints]:
    """(buckets, ascending, the number of tokens in each)."""
    tokens = chain.from_iterable(map(_path_tokens, paths[:FILES_LEARNT]))
    views = zip((*_views(text.lower()), _hashes(tokens)), SIZES, STARTS[:-1], strict=True)
    buckets = [np.fromiter(view, dtype=np.int64) % size + start for view, size, start in views]
    return np.unique(np.concatenate(buckets).astype(np.int32), return_counts=True)


def _views(text: str) -> Iterator[Iterable[int]]:
    """The hashes of the tokens of each view of a text, in the order of SIZES, but for the changed files."""
    title, _, body = text.partition("\n")
    head, rest = _tokens(title), _tokens(body)
    yield _hashes(chain(head, rest, _pairs(head), _pairs(rest)))
    yield chain.from_iterable(map(_pieces, chain(head, rest)))
    # The first and the last word of a title name the kind of an issue more often than those between.
    ends = [f"^{head[0]}", f"{head[-1]}$"] if head else []
    yield chain(_hashes(chain(ends, head, _pairs(head))), chain.from_iterable(map(_pieces, head)))
    opening = rest[:OPENING]
    yield _hashes(chain([f"^{word}" for word in opening[:1]], opening, _pairs(opening)))
    yield _hashes(_shape(title, body))


def _path_tokens(path: str) -> Iterator[str]:
    """The folders of a path, each as a path and by its name alone, then its own name, ending and words."""
    *folders, name = path[:MAX_PATH].lower().split("/")
    yield from accumulate(f"{folder}/" for folder in folders[:MAX_DEPTH])
    yield from (f"/{folder}/" for folder in folders[:MAX_DEPTH])
    yield f"/{name}"
    yield from [f".{name.rpartition('.')[2]}"] * ("." in name)
    yield from _NAME_WORD.findall(name)


def _tokens(text: str) -> list[str]:
    return [token[:MAX_TOKEN] for token in _TOKEN.findall(text)]


def _pairs(tokens: list[str]) -> Iterator[str]:
    return (f"{a} {b}" for a, b in pairwise(tokens))


def _shape(title: str, body: str) -> Iterator[str]:
    """The length, the lines and the questions of a text, and its short lines, such as the headings of issue forms."""
    lines = body.split("\n")
    yield f"#length {len(body).bit_length()}"
    yield f"#lines {len(lines).bit_length()}"
    yield f"#title {len(title.split()) // 3}"
    yield f"#asks {min(3, body.count('?'))} {'?' in title}"
    yield from (line for line in lines if len(line) < SHORT_LINE)


def _hashes(tokens: Iterable[str]) -> list[int]:
    return [crc32(token.encode("utf-8", "replace")) for token in tokens]


@lru_cache(maxsize=1 << 16)
def _pieces(token: str) -> tuple[int, ...]:
    """The hashes of the runs of 3 to 5 characters of a token with a space at each end."""
    padded = f" {token} "
    return tuple(_hashes(padded[i : i + n] for n in PIECES for i in range(max(1, len(padded) - n + 1))))


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


def sigmoid(odds: AnyFloats) -> Array:
    """1 / (1 + exp(-odds)) of any shape, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * odds)), dtype=np.float64)
