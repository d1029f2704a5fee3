"""Search for the nearest vectors by inner product with faiss: exact, or compressed where there are many.

The exact index compares a query with every vector. The compressed one holds inverted lists of 8-bit codes: a vector is
a number of the list whose centroid is nearest and, in a byte for each dimension, where it lies around that centroid.
A search reads the lists nearest to the query and no others, each checked against its hash before faiss sees a byte of
it; no file of faiss's own format is ever read. Sources: Jégou, Douze and Schmid, Product Quantization for Nearest
Neighbor Search (2011), for lists of residuals; faiss's `IndexIVFScalarQuantizer` for the codes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from triage.arrays import Array, Bytes, Floats, Ints, Mask
from triage.decide.rules import K_MAX
from triage.errors import BundleError

# faiss breaks ties arbitrarily, and its sums differ in the last bits with the number of queries: it is asked for more
# candidates than needed, which are then sorted exactly.
SLACK = 14
# Cosines that agree to this many digits are equal.
DIGITS = 6
# Steps of a byte.
STEPS = 255
# Of a centroid and a residual; vectors have unit length.
MOST = 100.0


def library() -> Any:
    """faiss, imported when needed; untyped, since its annotations lack the methods that Python adds."""
    import faiss

    return faiss


class Index:
    """Unit vectors [n, d] and their keys, searched by inner product.

    `order` is a tie-breaker for each row: of equally similar rows the one with the smaller value comes first.
    Raises BundleError where a vector is not finite.
    """

    def __init__(self, vectors: Floats, order: Sequence[object]) -> None:
        if vectors.ndim != 2 or len(vectors) != len(order):
            raise BundleError(f"{len(order)} rows cannot go with vectors of shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise BundleError("the index holds a vector that is not finite")
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        ranks = sorted(range(len(order)), key=lambda i: order[i])  # type: ignore[arg-type, return-value]  # keys of one type
        self._order, self._rank = order, np.empty(len(order), dtype=np.int64)
        self._rank[ranks] = np.arange(len(order))
        self._flat = library().IndexFlatIP(self.vectors.shape[1])
        self._flat.add(self.vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(
        self, queries: Floats, *, without: Sequence[object] = (), within: Mask | None = None
    ) -> tuple[Floats, Ints]:
        """(similarities, rows), both [q, K_MAX], similarity down, then order up; -inf and -1 where none.

        `without[i]` is the order of the row to leave out for query i: its own. `within` [n] are the rows to search.
        """
        if not len(self) or not len(queries):
            return _filled(len(queries), ())
        _check(queries, self.vectors.shape[1])
        candidates = self._candidates(queries, K_MAX + SLACK, within)
        triples = zip(queries, candidates, _padded(without, queries), strict=True)
        return _filled(len(queries), (self._ordered(*triple, within) for triple in triples))

    def _candidates(self, queries: Floats, wide: int, within: Mask | None) -> Ints:
        faiss, params = library(), None
        if within is not None:
            bits = np.packbits(within, bitorder="little")
            params = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        rows: Ints = self._flat.search(queries, min(len(self), wide), params=params)[1]
        return rows

    def _ordered(
        self, query: Floats, candidates: Ints, itself: object, within: Mask | None
    ) -> tuple[Array, Ints]:
        """(cosines, rows) of the K_MAX nearest; asks for more candidates while others may tie with the last."""
        while True:
            known = candidates[candidates >= 0]
            rows = known[[self._order[row] != itself for row in known.tolist()]]
            exact = np.round((self.vectors[rows].astype(np.float64) * query).sum(axis=1), DIGITS)
            best = np.lexsort((self._rank[rows], -exact))[:K_MAX]
            all_seen = candidates[-1] < 0 or len(candidates) >= len(self)
            if all_seen or exact.min() < exact[best[-1]] - 2 * 10**-DIGITS:
                return exact[best], rows[best]
            candidates = self._candidates(query[None, :], 2 * len(candidates), within)[0]


def _filled(queries: int, nearest: Iterable[tuple[Array, Ints]]) -> tuple[Floats, Ints]:
    """(similarities, rows) [queries, K_MAX] of those of each query."""
    similarities = np.full((queries, K_MAX), -np.inf, dtype=np.float32)
    rows = np.full((queries, K_MAX), -1, dtype=np.int64)
    for i, (exact, near) in enumerate(nearest):
        similarities[i, : len(near)] = exact
        rows[i, : len(near)] = near
    return similarities, rows


def _padded(without: Sequence[object], queries: Floats) -> list[object]:
    return [*without, *[None] * (len(queries) - len(without))]


def _check(queries: Floats, dimension: int) -> None:
    if queries.shape[1:] != (dimension,):
        raise BundleError(f"queries of shape {queries.shape} cannot go with vectors of {dimension} numbers")
    if not np.isfinite(queries).all():
        raise BundleError("a query vector is not finite")


@dataclass(frozen=True)
class IvfCodes:
    """n vectors of d dimensions in l lists; row i is of the list j with `bounds[j] <= i < bounds[j + 1]`.

    `centroids` float32 [l, d]; `owners` int64 [l], the number of the only repository whose issues are in the list, or
    -1; `ranges` float32 [2, d], the lowest value of a residual and the width of its range; `codes` uint8 [n, d], which
    may be a view of a file; `bounds` int64 [l + 1]; `hashes` uint8 [l, 32], the sha256 of the codes of each list. A
    search reads `probes` lists. Raises BundleError where the shapes do not match.
    """

    centroids: Floats
    ranges: Floats
    codes: Bytes
    bounds: Ints
    hashes: Bytes
    owners: Ints
    probes: int

    def __post_init__(self) -> None:
        lists, d = self.centroids.shape if self.centroids.ndim == 2 else (0, 0)
        n = len(self.codes)
        fits = (
            self.ranges.shape == (2, d)
            and self.codes.shape == (n, d)
            and self.codes.dtype == np.uint8
            and self.hashes.shape == (lists, 32)
            and self.owners.shape == (lists,)
            and self.bounds.shape == (lists + 1,)
            and 1 <= self.probes <= lists
        )
        if not fits or self.bounds[0] != 0 or self.bounds[-1] != n or (np.diff(self.bounds) < 0).any():
            raise BundleError("the parts of the compressed index do not fit together")
        if not all((np.abs(numbers) <= MOST).all() for numbers in (self.centroids, self.ranges)):
            raise BundleError("the compressed index holds a number that is not finite, or out of range")

    def __len__(self) -> int:
        return len(self.codes)

    def read(self, at: int) -> Bytes:
        """A copy of the codes of list `at`, [m, d]. Raises BundleError where their hash is another."""
        held = np.array(self.codes[self.bounds[at] : self.bounds[at + 1]])
        if hash_of(held) != self.hashes[at].tobytes():
            raise BundleError(f"list {at} of the compressed index was changed: its hash is another")
        return held

    def verify(self) -> None:
        """Read every list. Raises BundleError for the first that was changed."""
        for at in range(len(self.centroids)):
            self.read(at)

    def vectors(self, rows: Ints) -> Array:
        """The decoded vectors [len(rows), d]."""
        lists = np.searchsorted(self.bounds, rows, side="right") - 1
        shares = (self.codes[rows] + 0.5) / STEPS
        decoded: Array = self.centroids[lists] + self.ranges[0] + shares * self.ranges[1].astype(np.float64)
        return decoded


def hash_of(codes: Bytes) -> bytes:
    """The sha256 of the codes of a list."""
    return hashlib.sha256(codes.tobytes()).digest()


class IvfIndex:
    """`IvfCodes` opened for search; lists stay in memory once they are read. `order` is as for `Index`."""

    def __init__(self, codes: IvfCodes, order: Sequence[Any]) -> None:
        if len(codes) != len(order):
            raise BundleError(f"{len(order)} rows cannot go with {len(codes)} codes")
        faiss = library()
        self.codes, self._order = codes, order
        lists, d = codes.centroids.shape
        # The nearest lists are chosen by the centroids here, so faiss needs none.
        self._coarse = faiss.IndexFlatIP(d)
        kind, metric = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        self._lists = faiss.IndexIVFScalarQuantizer(self._coarse, d, lists, kind, metric, True)
        faiss.copy_array_to_vector(codes.ranges.astype(np.float32).ravel(), self._lists.sq.trained)
        self._lists.is_trained = True
        self._lists.ntotal = len(codes)
        self._read = np.zeros(lists, dtype=bool)

    def __len__(self) -> int:
        return len(self.codes)

    def search(
        self, queries: Floats, *, without: Sequence[Any] = (), owner: int | None = None
    ) -> tuple[Floats, Ints]:
        """See `Index.search`; each query is searched alone, so that its neighbours do not depend on others.

        `owner` is the only repository to search.
        """
        _check(queries, self.codes.centroids.shape[1])
        owners = self.codes.owners
        lists = np.arange(len(owners)) if owner is None else np.flatnonzero(owners == owner)
        if not len(self) or not len(lists):
            return _filled(len(queries), ())
        pairs = zip(np.ascontiguousarray(queries, np.float32), _padded(without, queries), strict=True)
        return _filled(len(queries), (self._nearest(query, itself, lists) for query, itself in pairs))

    def _nearest(self, query: Floats, itself: Any, lists: Ints) -> tuple[Array, Ints]:
        """(cosines, rows) of the K_MAX nearest; reads on where lists hold too few, or while others may tie."""
        scores = self.codes.centroids @ query
        near = lists[np.argsort(-scores[lists], kind="stable")]
        probes, wide = self.codes.probes, K_MAX + SLACK
        while True:
            candidates = self._scan(query, near[:probes], scores, wide)
            order = {row: self._order[row] for row in candidates[candidates >= 0].tolist()}
            rows = np.array([row for row, key in order.items() if key != itself], dtype=np.int64)
            exact = np.round((self.codes.vectors(rows) * query).sum(axis=1), DIGITS)
            best = sorted(range(len(rows)), key=lambda j: (-exact[j], order[int(rows[j])]))[:K_MAX]
            all_seen = bool(candidates[-1] < 0)
            if all_seen and len(rows) < K_MAX and probes < len(near):
                probes *= 2
            elif all_seen or exact.min() < exact[best[-1]] - 4 * 10**-DIGITS:
                return exact[best], rows[best]
            else:
                wide *= 2

    def _scan(self, query: Floats, lists: Ints, scores: Floats, wide: int) -> Ints:
        """The `wide` rows of these lists with the greatest inner products, -1 where there are no more."""
        faiss = library()
        for at in lists[~self._read[lists]].tolist():
            codes = self.codes.read(at)
            held = np.arange(self.codes.bounds[at], self.codes.bounds[at + 1], dtype=np.int64)
            if len(held):
                self._lists.invlists.add_entries(at, len(held), faiss.swig_ptr(held), faiss.swig_ptr(codes))
            self._read[at] = True
        near, nearness = lists.astype(np.int64), scores[lists].astype(np.float32)
        products, rows = np.empty(wide, dtype=np.float32), np.empty(wide, dtype=np.int64)
        # The method of Python's wrapper takes no parameters.
        self._lists.search_preassigned_c(
            1,
            faiss.swig_ptr(query),
            wide,
            *map(faiss.swig_ptr, (near, nearness, products, rows)),
            False,
            faiss.SearchParametersIVF(nprobe=len(lists)),
        )
        return rows
