"""Exact search in an order of our own, whatever faiss does with ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.arrays import Floats
from triage.bundle.model import Neighbourhood
from triage.decide import Neighbour
from triage.decide.rules import K_MAX
from triage.engine.index import Index
from triage.errors import BundleError


def unit(rows: int, seed: int, *, distinct: int = 10**6) -> Floats:
    """Random unit vectors [rows, 8], of which at most `distinct` differ."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(min(rows, distinct), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[rng.integers(0, len(vectors), size=rows)] if rows else vectors


def by_hand(vectors: Floats, query: Floats, numbers: list[int]) -> list[int]:
    """The numbers of the nearest, similarity down, then number up."""
    cosines = np.round(vectors.astype(np.float64) @ query.astype(np.float64), 6)
    order = sorted(range(len(numbers)), key=lambda i: (-cosines[i], numbers[i]))
    return [numbers[i] for i in order[:K_MAX]]


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 12), st.integers(0, 10**6), st.data())
def test_neighbours_do_not_depend_on_the_order_of_insertion(
    rows: int, distinct: int, seed: int, data: st.DataObject
) -> None:
    """However rows are inserted, and however many are equal, the same neighbours come in the same order."""
    vectors, numbers = unit(rows, seed, distinct=distinct), list(range(1, rows + 1))
    shuffled = data.draw(st.permutations(numbers))
    queries = np.concatenate([vectors[:2], unit(2, seed + 1)])
    moved = vectors[np.array(shuffled) - 1]
    for query in queries:
        expected = by_hand(vectors, query, numbers)
        for order, held in ((numbers, vectors), (shuffled, moved)):
            _, found = Index(held, order).search(query[None, :])
            assert [order[i] for i in found[0] if i >= 0] == expected


def test_one_query_and_many_find_the_same() -> None:
    """The neighbours and similarities of a query are bit for bit those it has among a thousand queries."""
    index, queries = Index(unit(500, 1, distinct=60), range(500)), unit(1000, 2)
    similarities, rows = index.search(queries)
    for i in range(0, 1000, 97):
        alone = index.search(queries[i : i + 1])
        assert (alone[0][0] == similarities[i]).all()
        assert (alone[1][0] == rows[i]).all()


def test_an_issue_never_votes_for_itself() -> None:
    """An issue is left out by repository and number: not by its place, and not in another repository."""
    vectors = np.repeat(unit(1, 3), 3, axis=0)
    keys = [("o/r", 7), ("o/other", 7), ("o/r", 8)]
    nearby = Neighbourhood(vectors, keys, [("a",), ("b",), ("c",)])
    found = list(nearby.near([("o/r", 7), ("o/r", 9)], vectors[:2]))
    other, eight = Neighbour("o/other", 7, 1.0, ("b",)), Neighbour("o/r", 8, 1.0, ("c",))
    assert found == [(other, eight), (other, Neighbour("o/r", 7, 1.0, ("a",)), eight)]


def test_the_closest_neighbour_is_told_under_the_encoder_alone() -> None:
    """Points have the head's coordinates behind those of the encoder; without a neighbour there is nothing to tell."""
    vectors, query = unit(5, 4), unit(1, 5)
    points = np.hstack([vectors, np.full((5, 2), 3.0, np.float32)])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    asked = np.hstack([query, np.full((1, 2), 3.0, np.float32)]) / np.float32(np.sqrt(19))
    nearby = Neighbourhood(points, [("o/r", n) for n in range(1, 6)], [("a",)] * 5)
    [(near, closest)] = nearby.near_and_closest([("o/r", 9)], asked, query)
    assert len(near) == 5
    assert closest == pytest.approx(float((vectors @ query[0]).max()), abs=1e-5)
    alone = Neighbourhood(points[:1], [("o/r", 1)], [("a",)])
    assert list(alone.near_and_closest([("o/r", 1)], asked, query)) == [((), 1.0)]


@pytest.mark.parametrize("rows", [0, 1, K_MAX - 1, K_MAX, K_MAX + 1, K_MAX + 14, K_MAX + 15])
def test_small_indexes_give_what_they_have(rows: int) -> None:
    """An index smaller than the search is deep finds all its rows, and nothing in the places left over."""
    vectors = unit(rows, 4)
    similarities, found = Index(vectors, range(rows)).search(unit(3, 5))
    assert similarities.shape == found.shape == (3, K_MAX)
    assert ((found >= 0).sum(axis=1) == min(rows, K_MAX)).all()
    assert (np.isneginf(similarities) == (found < 0)).all()
    assert sorted(found[0][found[0] >= 0]) == sorted({*found[0]} - {-1})


def test_an_index_of_itself_alone_finds_nothing() -> None:
    """The only issue of an index has no neighbour."""
    vectors = unit(1, 6)
    assert list(Neighbourhood(vectors, [("o/r", 1)], [("a",)]).near([("o/r", 1)], vectors)) == [()]


def test_no_query_finds_nothing() -> None:
    """Searching for no vector gives no row."""
    assert Index(unit(3, 7), range(3)).search(unit(0, 8))[1].shape == (0, K_MAX)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused(bad: float) -> None:
    """Neither the index nor a query may hold what cannot be compared."""
    vectors = unit(3, 9)
    spoilt = vectors.copy()
    spoilt[1, 2] = bad
    with pytest.raises(BundleError) as refused:
        Index(spoilt, range(3))
    assert refused.value.what == "the index holds a vector that is not finite"
    with pytest.raises(BundleError) as refused:
        Index(vectors, range(3)).search(spoilt)
    assert refused.value.what == "a query vector is not finite"


def test_vectors_and_rows_go_together() -> None:
    """As many keys as vectors, and vectors in rows, or there is no index."""
    with pytest.raises(BundleError) as refused:
        Index(unit(3, 10), range(2))
    assert refused.value.what == "2 rows cannot go with vectors of shape (3, 8)"
