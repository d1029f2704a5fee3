"""How much of what an exact search finds a compressed index finds, and how many lists a search reads for that."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from triage.engine.compressed import Codes, Compressed, library
from triage.engine.index import Floats, Ints
from triage.errors import BundleError

# Of the K nearest; below FLOOR an index is refused.
K, TARGET, FLOOR = 25, 0.975, 0.95
QUERIES = 500
MOST_PROBES = 512
# One list in so many is read at least. Held-out rows that have near copies among the others are found in a list or two,
# which says nothing of an issue that has none.
LEAST_SHARE = 32


@dataclass(frozen=True)
class Built:
    """A compressed index whose row i is row `order[i]` of the vectors it was made of.

    `recall` of the K nearest was measured with `queries` held-out rows.
    """

    codes: Codes
    order: Ints
    recall: float
    queries: int


def judged(codes: Codes, order: Ints, vectors: Floats, queries: Ints) -> Built:
    """The index with the fewest probes allowed that find TARGET of what an exact search of `vectors` finds.

    `queries` are rows of `vectors`, ascending. Raises BundleError where even the most find less than FLOOR.
    """
    truth = _truth(vectors, queries)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    index = Compressed(codes, range(len(codes)))
    recall = 0.0
    for probes in _steps(len(codes.centroids)):
        index.codes = replace(codes, probes=probes)
        _, rows = index.search(vectors[queries], without=place[queries].tolist())
        found = np.append(order, -1)[rows[:, :K]]
        hits = [len(set(a[a >= 0]) & set(b[b >= 0])) for a, b in zip(found, truth, strict=True)]
        recall = sum(hits) / max(1, int((truth >= 0).sum()))
        if recall >= TARGET:
            break
    refuse_below_floor(recall)
    return Built(index.codes, order, round(recall, 4), len(queries))


def _steps(lists: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 11, 16 and so on, from the least probes to the most that a search of so many lists has."""
    most = min(MOST_PROBES, lists)
    least = min(most, max(1, lists // LEAST_SHARE))
    return sorted({max(least, min(most, round(2 ** (i / 2)))) for i in range(2 * most.bit_length() + 1)})


def refuse_below_floor(recall: float) -> None:
    """Raise BundleError where the index finds too little."""
    if recall < FLOOR:
        raise BundleError(
            f"the compressed index finds {recall:.1%} of the nearest {K}, and {FLOOR:.0%} is the least",
            likely="the vectors hardly cluster, or the index was made by hand",
            next_step="learn from fewer issues: few are compared one by one",
        )


def _truth(vectors: Floats, queries: Ints) -> Ints:
    """The K nearest rows of each query by exact search, itself left out; -1 where there are fewer."""
    faiss = library()
    k = min(K + 1, len(vectors))
    _, found = faiss.knn(
        np.ascontiguousarray(vectors[queries]), vectors, k, metric=faiss.METRIC_INNER_PRODUCT
    )
    truth = np.full((len(queries), K), -1, dtype=np.int64)
    for i, row in enumerate(queries):
        others = found[i][found[i] != row][:K]
        truth[i, : len(others)] = others
    return truth
