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
# Nearly as near counts as near: which of many copies is found does not matter. As ann-benchmarks has it.
NEARLY = 1e-3
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
    asked = np.ascontiguousarray(vectors[queries])
    least, others = _least(vectors, queries, asked)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    index = Compressed(codes, range(len(codes)))
    recall = 0.0
    for probes in _steps(len(codes.centroids)):
        index.codes = replace(codes, probes=probes)
        _, rows = index.search(asked, without=place[queries].tolist())
        hits = 0
        for query, found, enough in zip(asked, rows[:, :K], least, strict=True):
            near = vectors[order[found[found >= 0]]] @ query
            hits += int((near >= enough - NEARLY).sum())
        recall = hits / max(1, others)
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


def _least(vectors: Floats, queries: Ints, asked: Floats) -> tuple[Floats, int]:
    """(how similar the last of the K nearest is to each query [q], itself left out; how many these are in all)."""
    faiss = library()
    k = min(K + 1, len(vectors))
    similarities, found = faiss.knn(asked, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    least, others = np.empty(len(queries), dtype=np.float32), 0
    for i, row in enumerate(queries):
        near = similarities[i][found[i] != row][:K]
        least[i] = near[-1] if len(near) else np.inf
        others += len(near)
    return least, others
