"""Exact inner-product search by faiss, in an order of our own. With `compressed` and `compress` its only home."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.decide.vote import K_MAX
from triage.errors import BundleError

# faiss breaks ties as it likes and its sums differ in the last bits with the number of queries: more
# candidates than needed are taken and put in order anew.
SLACK = 14
# Cosines closer than this are one cosine.
DIGITS = 6


class Index:
    """Unit vectors [n, d] and their keys, searched by inner product.

    `order` is a tie-breaker for each row: of equally similar rows the one with the smaller value comes first.
    Raises BundleError where a vector is not finite.
    """

    def __init__(self, vectors: Floats, order: Sequence[object]) -> None:
        import faiss

        if vectors.ndim != 2 or len(vectors) != len(order):
            raise BundleError(f"{len(order)} rows cannot go with vectors of shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise BundleError("the index holds a vector that is not finite")
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        ranks = sorted(range(len(order)), key=lambda i: order[i])  # type: ignore[arg-type, return-value]  # keys of one type
        self._rank = np.empty(len(order), dtype=np.int64)
        self._rank[ranks] = np.arange(len(order))
        self._flat = faiss.IndexFlatIP(self.vectors.shape[1])
        self._flat.add(self.vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(
        self, queries: Floats, *, without: Sequence[int | None] = (), within: Mask | None = None
    ) -> tuple[Floats, Ints]:
        """(similarities, rows), both [q, K_MAX], similarity down, then order up; -inf and -1 where none.

        `without[i]` is the row that query i must not find: itself. `within` [n] are the rows to look among.
        """
        if within is not None:
            return self._search_within(queries, without, within)
        q = len(queries)
        similarities = np.full((q, K_MAX), -np.inf, dtype=np.float32)
        rows = np.full((q, K_MAX), -1, dtype=np.int64)
        if not len(self) or not q:
            return similarities, rows
        checked_queries(queries, self.vectors.shape[1])
        wide = min(len(self), K_MAX + SLACK)
        _, candidates = self._flat.search(np.ascontiguousarray(queries, dtype=np.float32), wide)
        for i in range(q):
            itself = without[i] if i < len(without) else None
            exact, found = self._ordered(queries[i], candidates[i], itself)
            similarities[i, : len(found)] = exact
            rows[i, : len(found)] = found
        return similarities, rows

    def _search_within(
        self, queries: Floats, without: Sequence[int | None], within: Mask
    ) -> tuple[Floats, Ints]:
        """An index of those rows alone, in which each has its place."""
        rows = np.flatnonzero(within)
        place = {int(row): at for at, row in enumerate(rows)}
        few = Index(self.vectors[rows], [int(rank) for rank in self._rank[rows]])
        similarities, found = few.search(
            queries, without=[None if w is None else place.get(w) for w in without]
        )
        return similarities, np.append(rows, -1)[found]

    def _ordered(self, query: Floats, candidates: Ints, itself: int | None) -> tuple[Array, Ints]:
        """(cosines, rows) of the K_MAX nearest; searched wider where more may tie with the last of them."""
        while True:
            found = candidates[candidates >= 0]
            if itself is not None:
                found = found[found != itself]
            exact = np.round((self.vectors[found].astype(np.float64) * query).sum(axis=1), DIGITS)
            best = np.lexsort((self._rank[found], -exact))[:K_MAX]
            if len(candidates) >= len(self) or exact.min() < exact[best[-1]] - 2 * 10**-DIGITS:
                return exact[best], found[best]
            wide = min(len(self), 2 * len(candidates))
            _, wider = self._flat.search(np.ascontiguousarray(query[None, :], dtype=np.float32), wide)
            candidates = wider[0]


def checked_queries(queries: Floats, dimension: int) -> None:
    """Raise BundleError where a query is not finite or of another dimension."""
    if queries.shape[1:] != (dimension,):
        raise BundleError(f"queries of shape {queries.shape} cannot go with vectors of {dimension} numbers")
    if not np.isfinite(queries).all():
        raise BundleError("a query vector is not finite")
