"""Building the compressed index: when there is one, how many lists it has, and how many of them a search reads.

Up to EXACT_ROWS vectors, if they fit EXACT_BYTES, are compared one by one. More are put into lists by spherical
k-means. A search reads the fewest lists with a recall of TARGET against exact search, measured on rows that were held
out of the k-means, and at least one list in LEAST_SHARE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from triage.arrays import Bytes, Floats, Ints
from triage.engine.index import STEPS, IvfCodes, IvfIndex, hash_of, library
from triage.errors import BundleError

# Measured (benchmarks/scale.md): at 10,000 vectors of 384 numbers both indexes are equally fast, and the exact one
# costs a cold start 0.05 s of processor time more; at 20,000 it costs 0.7 ms and 0.07 s more, which does not justify a
# miss.
EXACT_ROWS = 20_000
# Of vectors. An event downloads them all, and opening the index holds three copies.
EXACT_BYTES = 128 * 2**20
# Rows for each list that k-means learns from, and its rounds; it gains little from more.
TAUGHT, ROUNDS = 64, 10
# Residuals are clipped to this many standard deviations.
SPREAD = 3.5
# The index is rebuilt when more than this share of its rows has come or gone.
CHANGED = 0.2
BLOCK = 1 << 16
SEED = 0
# Recall of the K nearest; an index below FLOOR is refused.
K, TARGET, FLOOR = 25, 0.975, 0.95
QUERIES = 500
MOST_PROBES = 512
# A row this much less similar counts too, since it does not matter which of many copies is found; as in ann-benchmarks.
NEARLY = 1e-3
# At least one list in this many is read: held-out rows with near copies are found in one or two lists, which says
# nothing about an issue without any.
LEAST_SHARE = 32
# The owner of a list with issues of every repository.
ANYBODY = -1


@dataclass(frozen=True)
class Built:
    """A compressed index whose row i is row `order[i]` of the vectors it was made of.

    `recall` of the K nearest was measured with `queries` held-out rows.
    """

    codes: IvfCodes
    order: Ints
    recall: float
    queries: int


def exact(rows: int, dimension: int) -> bool:
    """Whether this many vectors are compared one by one."""
    return rows <= EXACT_ROWS and 4 * rows * dimension <= EXACT_BYTES


def compress(vectors: Floats, owners: Ints | None = None) -> Built:
    """The compressed index of unit vectors [n, d]. Raises BundleError where its recall is below FLOOR.

    `owners` [n] are numbers of repositories: each list then holds issues of one of them, and repositories of up to
    EXACT_ROWS issues are searched whole. Memory: the vectors, a byte for each of their numbers, and a block.
    """
    if not all(np.isfinite(block).all() for _, block in _blocks(vectors)):
        raise BundleError("the index holds a vector that is not finite")
    rng = np.random.default_rng(SEED)
    held_out = _held_out(len(vectors), rng)
    taught, most = np.setdiff1d(np.arange(len(vectors)), held_out), TAUGHT * list_count(len(vectors))
    if len(taught) > most:
        taught = np.sort(rng.choice(taught, most, replace=False))
    centroids, owned = _drawn(vectors, taught, owners)
    lists = _assigned(vectors, centroids, owned, owners)
    residuals = vectors[taught] - centroids[lists[taught]]
    middle, reach = residuals.mean(axis=0), SPREAD * np.maximum(residuals.std(axis=0), 1e-6)
    ranges = np.stack([middle - reach, 2 * reach]).astype(np.float32)
    codes, order = _laid_out(_encoded(vectors, lists, centroids, ranges), lists, centroids, ranges, owned)
    return _tuned(codes, order, vectors, held_out, owners)


def list_count(rows: int) -> int:
    """The power of two nearest to four times the square root of the rows."""
    return int(2 ** max(1, round(np.log2(4 * max(1, rows) ** 0.5))))


def _assigned(vectors: Floats, centroids: Floats, owned: Ints, owners: Ints | None) -> Ints:
    """The list of each vector: the one of its repository (`owned` [l]) with the greatest inner product."""
    faiss = library()
    lists = np.empty(len(vectors), dtype=np.int64)
    for owner, rows in _by_owner(len(vectors), owners):
        own = np.flatnonzero(owned == owner)
        near, mine = centroids[own], vectors if owners is None else vectors[rows]
        for start, block in _blocks(mine):
            _, nearest = faiss.knn(block, near, 1, metric=faiss.METRIC_INNER_PRODUCT)
            lists[rows[start : start + len(block)]] = own[nearest[:, 0]]
    return lists


def _encoded(vectors: Floats, lists: Ints, centroids: Floats, ranges: Floats) -> Bytes:
    """The codes [n, d] of vectors in the given lists."""
    codes = np.empty(vectors.shape, dtype=np.uint8)
    for start, block in _blocks(vectors):
        share = block - centroids[lists[start : start + len(block)]]
        share -= ranges[0]
        share *= STEPS / ranges[1]
        codes[start : start + len(block)] = np.clip(share, 0, STEPS, out=share)
    return codes


def updated(
    old: IvfCodes, rows: Ints, vectors: Floats, first_of: int, changed: int, owners: Ints | None = None
) -> tuple[Built, int] | None:
    """The index with new rows in the old lists, and the number of rows that have come or gone since they were drawn.

    `rows` [n] is the row of `old` of each vector, -1 for a new one. The lists were drawn from `first_of` rows, of
    which `changed` had come or gone. None where the share of changed rows exceeds CHANGED. `owners` are as for
    `compress`.
    """
    lists = np.searchsorted(old.bounds, rows, side="right") - 1
    kept = np.flatnonzero(rows >= 0)
    again = _encoded(vectors[kept], lists[kept], old.centroids, old.ranges)
    moved = kept[(again != old.codes[rows[kept]]).any(axis=1)]
    new = np.union1d(np.flatnonzero(rows < 0), moved)
    gone = len(old) - (len(vectors) - len(new))
    changed += len(new) + gone
    if changed > CHANGED * first_of:
        return None
    lists[new] = _assigned(vectors[new], old.centroids, old.owners, None if owners is None else owners[new])
    codes = np.empty(vectors.shape, dtype=np.uint8)
    codes[kept] = again
    codes[new] = _encoded(vectors[new], lists[new], old.centroids, old.ranges)
    held_out = _held_out(len(vectors), np.random.default_rng(SEED))
    laid_out, order = _laid_out(codes, lists, old.centroids, old.ranges, old.owners)
    return _tuned(laid_out, order, vectors, held_out, owners), changed


def _held_out(rows: int, rng: np.random.Generator) -> Ints:
    return np.sort(rng.choice(rows, min(QUERIES, rows // 10 + 1), replace=False))


def _drawn(vectors: Floats, taught: Ints, owners: Ints | None) -> tuple[Floats, Ints]:
    """(centroids [l, d] of the lists, their owners [l])."""
    parts, owned = [], []
    for owner, rows in _by_owner(len(vectors), owners):
        sample = np.intersect1d(rows, taught)
        searched_whole = owners is not None and len(rows) <= EXACT_ROWS
        lists = 1 if searched_whole else list_count(len(rows))
        parts.append(_centroids(vectors[sample if len(sample) else rows], lists))
        owned.append(np.full(len(parts[-1]), owner))
    return np.concatenate(parts), np.concatenate(owned)


def _centroids(sample: Floats, lists: int) -> Floats:
    faiss = library()
    kmeans = faiss.Kmeans(
        sample.shape[1],
        min(lists, len(sample)),
        niter=ROUNDS,
        spherical=True,
        seed=SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=TAUGHT,
    )
    kmeans.train(np.ascontiguousarray(sample))
    return np.array(kmeans.centroids, dtype=np.float32)


def _laid_out(
    codes: Bytes, lists: Ints, centroids: Floats, ranges: Floats, owned: Ints
) -> tuple[IvfCodes, Ints]:
    """(the codes sorted by list, the former row of each)."""
    order = np.argsort(lists, kind="stable")
    bounds = np.searchsorted(lists[order], np.arange(len(centroids) + 1))
    codes = codes[order]
    hashes = b"".join(hash_of(codes[a:b]) for a, b in pairwise(bounds))
    digests = np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 32)
    return IvfCodes(centroids, ranges, codes, bounds.astype(np.int64), digests, owned, 1), order


def _blocks(vectors: Floats) -> Iterator[tuple[int, Floats]]:
    for start in range(0, len(vectors), BLOCK):
        yield start, np.ascontiguousarray(vectors[start : start + BLOCK], dtype=np.float32)


def _by_owner(rows: int, owners: Ints | None) -> Iterator[tuple[int, Ints]]:
    """(number of the repository, its rows), ascending; (ANYBODY, all rows) where `owners` is None."""
    if owners is None:
        yield ANYBODY, np.arange(rows)
        return
    if not rows:
        return
    order = np.argsort(owners, kind="stable")
    numbers, starts = np.unique(owners[order], return_index=True)
    yield from zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)


def _tuned(codes: IvfCodes, order: Ints, vectors: Floats, queries: Ints, owners: Ints | None) -> Built:
    """The index with the fewest probes whose recall against an exact search of `vectors` reaches TARGET.

    `queries` are rows of `vectors`, ascending; with `owners` [n], each is searched in its own repository. Raises
    BundleError where the recall with the most probes is below FLOOR.
    """
    asked = np.ascontiguousarray(vectors[queries])
    least, others = _least(vectors, queries, owners)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    index = IvfIndex(codes, range(len(codes)))
    recall = 0.0
    own = [None] * len(queries) if owners is None else owners[queries].tolist()
    for probes in _steps(int(np.unique(codes.owners, return_counts=True)[1].max())):
        index.codes = replace(codes, probes=probes)
        hits = 0
        for i, row in enumerate(queries):
            _, (nearest,) = index.search(asked[i : i + 1], without=[int(place[row])], owner=own[i])
            near = vectors[order[nearest[:K][nearest[:K] >= 0]]] @ asked[i]
            hits += int((near >= least[i] - NEARLY).sum())
        recall = hits / max(1, others)
        if recall >= TARGET:
            break
    refuse_below_floor(recall)
    return Built(index.codes, order, round(recall, 4), len(queries))


def _steps(lists: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 11, 16 and so on, from the fewest to the most probes for this many lists."""
    most = min(MOST_PROBES, lists)
    least = min(most, max(1, lists // LEAST_SHARE))
    return sorted({max(least, min(most, round(2 ** (i / 2)))) for i in range(2 * most.bit_length() + 1)})


def refuse_below_floor(recall: float) -> None:
    """Raise BundleError for a recall below FLOOR."""
    if recall < FLOOR:
        raise BundleError(
            f"the compressed index finds {recall:.1%} of the nearest {K}, and {FLOOR:.0%} is the least",
            likely="the vectors hardly cluster, or the index was made by hand",
            next_step="learn from fewer issues, which are compared one by one",
        )


def _least(vectors: Floats, queries: Ints, owners: Ints | None) -> tuple[Floats, int]:
    """(the similarity of the K-th nearest to each query [q] without itself; the number of nearest in all)."""
    faiss = library()
    least, others = np.empty(len(queries), dtype=np.float32), 0
    for _, rows in _by_owner(len(vectors), owners):
        mine = np.flatnonzero(np.isin(queries, rows))
        if not len(mine):
            continue
        candidates = vectors if owners is None else vectors[rows]
        asked = np.ascontiguousarray(vectors[queries[mine]])
        similarities, nearest = faiss.knn(
            asked, candidates, min(K + 1, len(rows)), metric=faiss.METRIC_INNER_PRODUCT
        )
        for at, i in enumerate(mine.tolist()):
            near = similarities[at][rows[nearest[at]] != queries[i]][:K]
            least[i] = near[-1] if len(near) else np.inf
            others += len(near)
    return least, others
