"""Sparse features of a text by hashing: words, pieces of words, title, opening, short lines.

A feature is a bucket, named by the CRC-32 of the token: nothing of any text can be read back from what is
learnt over the buckets, and nothing needs to be kept to find a token's bucket again. Source of the idea:
Weinberger et al., Feature Hashing for Large Scale Multitask Learning (2009).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from zlib import crc32

import numpy as np

from triage.arrays import Floats, Halves, Ints, Ints32

# Part of every head's settings: raise it with any change to what `count` returns.
LEXICAL_VERSION = 1

# Question marks tell questions from reports; other punctuation told nothing.
_TOKEN = re.compile(r"\w+|[?!]")
# Longer tokens are dumps, not words.
MAX_TOKEN = 40
PIECES = (3, 4, 5)
OPENING = 40
SHORT_LINE = 40
# In the order of `_views`.
SIZES = (1 << 17, 1 << 17, 1 << 16, 1 << 16, 1 << 14)
STARTS = (0, *accumulate(SIZES))
BUCKETS = STARTS[-1]


@dataclass(frozen=True)
class FeatureCounts:
    """The features of n texts by row: those of row i lie in `[ends[i] : ends[i + 1]]`.

    `buckets` int64, ascending within a row; `values` float32, one plus the logarithm of the count.
    """

    ends: Ints
    buckets: Ints
    values: Floats

    def rows(self) -> Ints:
        """The row of each feature."""
        return np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends))

    def weighted(self, kept: KeptFeatures, shares: Sequence[float]) -> FeatureCounts:
        """The features that are `kept`, renamed to their places there.

        Values are multiplied by the inverse document frequency, then each view of each text is brought to
        the length sqrt(its share).
        """
        at = np.minimum(np.searchsorted(kept.buckets, self.buckets), max(0, len(kept.buckets) - 1))
        known = kept.buckets[at] == self.buckets if len(kept.buckets) else np.zeros(len(at), dtype=np.bool_)
        at, rows, n = at[known], self.rows()[known], len(self.ends) - 1
        values = self.values[known] * kept.idf[at].astype(np.float32)
        view = np.searchsorted(STARTS[1:], kept.buckets[at], side="right")
        cell = rows * len(SIZES) + view
        squares = np.bincount(cell, values**2, minlength=n * len(SIZES))
        scale = np.sqrt(np.asarray(shares)[view] / squares[cell])
        ends = np.searchsorted(rows, np.arange(n + 1))
        return FeatureCounts(ends, at, (values * scale).astype(np.float32))


@dataclass(frozen=True)
class KeptFeatures:
    """The f buckets that are learnt over: `buckets` ascending, `idf` their inverse document frequency."""

    buckets: Ints32
    idf: Halves

    @classmethod
    def of(cls, counts: FeatureCounts, *, least: int, most: int) -> KeptFeatures:
        """The `most` buckets found in the greatest number of texts, among those found in at least `least`."""
        n = len(counts.ends) - 1
        texts = np.bincount(counts.buckets, minlength=BUCKETS)
        often = np.argsort(-texts, kind="stable")[:most]
        buckets = np.sort(often[texts[often] >= least])
        idf = np.log((1 + n) / (1 + texts[buckets])) + 1
        return cls(buckets.astype(np.int32), idf.astype(np.float16))


def count(texts: Iterable[str]) -> FeatureCounts:
    """The features of rendered texts, whose first line is the title."""
    found = [_one(text) for text in texts]
    ends = np.fromiter(accumulate((len(b) for b, _ in found), initial=0), dtype=np.int64)
    buckets = [np.empty(0, np.int64), *(b for b, _ in found)]
    counts = [np.empty(0, np.int64), *(n for _, n in found)]
    values = 1 + np.log(np.concatenate(counts))
    return FeatureCounts(ends, np.concatenate(buckets), values.astype(np.float32))


def _one(text: str) -> tuple[Ints, Ints]:
    views = zip(_views(text.lower()), SIZES, STARTS, strict=False)
    buckets = [start + hashed % size for view, size, start in views for hashed in view]
    return np.unique(np.array(buckets, dtype=np.int64), return_counts=True)


def _views(text: str) -> Iterator[Iterable[int]]:
    """For each view of a text the hashes of its tokens: the order of SIZES."""
    title, _, body = text.partition("\n")
    named, said = _tokens(title), _tokens(body)
    yield _hashes(chain(named, said, _pairs(named), _pairs(said)))
    yield chain.from_iterable(map(_pieces, chain(named, said)))
    # The first and the last word of a title say the kind of an issue more often than those between.
    ends = [f"^{named[0]}", f"{named[-1]}$"] if named else []
    yield chain(_hashes(chain(ends, named, _pairs(named))), chain.from_iterable(map(_pieces, named)))
    opening = said[:OPENING]
    yield _hashes(chain([f"^{word}" for word in opening[:1]], opening, _pairs(opening)))
    yield _hashes(_shape(title, body))


def _tokens(text: str) -> list[str]:
    return [token[:MAX_TOKEN] for token in _TOKEN.findall(text)]


def _pairs(tokens: list[str]) -> Iterator[str]:
    return (f"{a} {b}" for a, b in pairwise(tokens))


def _shape(title: str, body: str) -> Iterator[str]:
    """How long, how broken into lines, how asking; and the short lines, which are an issue form's headings."""
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
    """The hashes of the runs of 3 to 5 characters of a token, its borders marked by a space."""
    padded = f" {token} "
    return tuple(_hashes(padded[i : i + n] for n in PIECES for i in range(max(1, len(padded) - n + 1))))
