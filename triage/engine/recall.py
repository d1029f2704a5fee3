"""How much of what an exact search finds a compressed index finds, and how many lists a search reads for that."""

from __future__ import annotations

from collections.abc import Iterator
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
# Whose a list is that takes issues of every repository.
ANYBODY = -1


@dataclass(frozen=True)
class Built:
    """A compressed index whose row i is row `order[i]` of the vectors it was made of.

    `recall` of the K nearest was measured with `queries` held-out rows.
    """

    codes: Codes
    order: Ints
    recall: float
    queries: int


def rooms(rows: int, owners: Ints | None) -> Iterator[tuple[int, Ints]]:
    """Each repository's number with its rows, ascending; where all are searched together, ANYBODY's with all."""
    if owners is None:
        yield ANYBODY, np.arange(rows)
        return
    order = np.argsort(owners, kind="stable")
    numbers, starts = np.unique(owners[order], return_index=True)
    yield from zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)


def judged(codes: Codes, order: Ints, vectors: Floats, queries: Ints, owners: Ints | None = None) -> Built:
    """The index with the fewest probes allowed that find TARGET of what an exact search of `vectors` finds.

    `queries` are rows of `vectors`, ascending; with `owners` [n], each finds rows of its own repository alone. Raises
    BundleError where even the most find less than FLOOR.
    """
    asked = np.ascontiguousarray(vectors[queries])
    least, others = _least(vectors, queries, owners)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    index = Compressed(codes, range(len(codes)))
    recall = 0.0
    own = [None] * len(queries) if owners is None else owners[queries].tolist()
    for probes in _steps(int(np.unique(codes.owners, return_counts=True)[1].max())):
        index.codes = replace(codes, probes=probes)
        rows = [
            index.search(asked[i : i + 1], without=[int(place[row])], owner=own[i])[1][0]
            for i, row in enumerate(queries)
        ]
        hits = 0
        for query, found, enough in zip(asked, rows, least, strict=True):
            near = vectors[order[found[:K][found[:K] >= 0]]] @ query
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


def _least(vectors: Floats, queries: Ints, owners: Ints | None) -> tuple[Floats, int]:
    """(how similar the last of the K nearest is to each query [q], itself left out; how many these are in all)."""
    faiss = library()
    least, others = np.empty(len(queries), dtype=np.float32), 0
    for _, rows in rooms(len(vectors), owners):
        mine = np.flatnonzero(np.isin(queries, rows))
        if not len(mine):
            continue
        known = vectors if owners is None else vectors[rows]
        asked = np.ascontiguousarray(vectors[queries[mine]])
        similarities, found = faiss.knn(
            asked, known, min(K + 1, len(rows)), metric=faiss.METRIC_INNER_PRODUCT
        )
        for at, i in enumerate(mine.tolist()):
            near = similarities[at][rows[found[at]] != queries[i]][:K]
            least[i] = near[-1] if len(near) else np.inf
            others += len(near)
    return least, others
