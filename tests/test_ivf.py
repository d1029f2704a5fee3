"""The index of many issues: made by rule, measured, read list by list, and brought up to date."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.storing import ACTIVE, git_store, tiny
from triage.arrays import Floats
from triage.bundle.bundle import FORMAT, FORMAT_COMPRESSED, MANIFEST, Bundle, Rows, to_files
from triage.bundle.ivf_files import CODES, LazyRows
from triage.bundle.local_store import LocalStore
from triage.bundle.model import Neighbourhood
from triage.decide import Neighbour
from triage.decide.rules import K_MAX, Rules
from triage.engine import ivf_build as judging
from triage.engine import ivf_build as making
from triage.engine.index import Index, IvfCodes, IvfIndex
from triage.engine.ivf_build import Built, compress, exact, updated
from triage.errors import BundleError
from triage.github.errors import UnusableAnswer
from triage.issue import RepositoryIds
from triage.learn.retrain import indexed

ROWS, WIDE = 3000, 16
NEW = ("o/r", 1_000_000)


def clustered(rows: int, seed: int) -> Floats:
    """Unit vectors around forty centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(40, WIDE))
    vectors = centres[rng.integers(40, size=rows)] + 0.5 * rng.normal(size=(rows, WIDE))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> Floats:
    """What is indexed."""
    return clustered(ROWS, 2)


@pytest.fixture(scope="module")
def built(vectors: Floats) -> Built:
    """The compressed index of them."""
    return compress(vectors)


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 100 vectors on, an index is compressed."""
    monkeypatch.setattr(making, "EXACT_ROWS", 100)


def bundle_of(vectors: Floats, repo: str = "o/r", after: Bundle | None = None) -> Bundle:
    """What learning leaves of issues 1, 2, 3 and so on; every third is a bug, the others are features."""
    n = len(vectors)
    rows = Rows(
        [(repo, i + 1) for i in range(n)], [("bug",) if i % 3 == 0 else ("feature",) for i in range(n)]
    )
    manifest = replace(tiny(3, repo=repo).manifest, issues=n)
    made = replace(tiny(3), manifest=manifest, vectors=vectors, rows=rows, prior=vectors.mean(axis=0))
    return indexed(made, after)


def spoil(path: Path, at: int) -> None:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("rows", "wide", "whether"),
    [(20_000, 384, True), (20_001, 384, False), (20_000, 1492, True), (20_000, 1700, False)],
)
def test_which_index_is_a_matter_of_number_and_memory(rows: int, wide: int, whether: bool) -> None:
    """Up to 20,000 vectors within 128 MiB are compared one by one, others are compressed."""
    assert exact(rows, wide) is whether


def test_it_finds_what_it_was_measured_to_find(vectors: Floats, built: Built) -> None:
    """Of the nearest 25 of new queries it finds about the share that was measured on held-out ones."""
    queries = clustered(300, 3)
    _, found = IvfIndex(built.codes, range(ROWS)).search(queries)
    _, truth = Index(vectors, range(ROWS)).search(queries)
    shares = [len({*built.order[a[:25]]} & {*b[:25]}) / 25 for a, b in zip(found, truth, strict=True)]
    assert built.recall >= judging.TARGET
    assert np.mean(shares) == pytest.approx(built.recall, abs=0.02)
    assert built.codes.probes < len(built.codes.centroids)


def test_rows_with_copies_do_not_narrow_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each row has near copies, found in one list, as many lists are read as other queries need."""
    rows = np.repeat(clustered(300, 11), 30, axis=0) + 0.02 * np.random.default_rng(0).normal(
        size=(9000, WIDE)
    )
    copied = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    wide = compress(copied).codes
    assert wide.probes == len(wide.centroids) // judging.LEAST_SHARE
    monkeypatch.setattr(judging, "LEAST_SHARE", 1 << 30)
    assert compress(copied).codes.probes < wide.probes


def test_which_of_many_copies_is_found_does_not_matter() -> None:
    """Issues that differ in a number alone, as bots open them, make no index that is refused."""
    rows = np.repeat(clustered(300, 12), 60, axis=0)
    rows += 1e-4 * np.random.default_rng(0).normal(size=rows.shape).astype(np.float32)
    copied = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    built = compress(copied)
    assert built.recall >= judging.TARGET
    asked = np.arange(0, len(copied), 600)
    _, found = IvfIndex(built.codes, range(len(copied))).search(copied[asked])
    near = [copied[built.order[a[:25]]] @ query for a, query in zip(found, copied[asked], strict=True)]
    assert float(np.min(near)) > 0.999


def test_similarities_are_those_of_the_codes_in_our_order(built: Built) -> None:
    """Similarities fall, and are the inner products with the vectors as faiss itself decodes the codes."""
    import faiss

    query = clustered(1, 4)
    similarities, rows = IvfIndex(built.codes, range(ROWS)).search(query)
    quantizer = faiss.ScalarQuantizer(WIDE, faiss.ScalarQuantizer.QT_8bit)
    faiss.copy_array_to_vector(built.codes.ranges.ravel(), quantizer.trained)
    lists = np.searchsorted(built.codes.bounds, rows[0], side="right") - 1
    decoded = built.codes.centroids[lists] + quantizer.decode(
        np.ascontiguousarray(built.codes.codes[rows[0]])
    )
    assert similarities[0] == pytest.approx(decoded @ query[0], abs=1e-5)
    assert (np.diff(similarities[0]) <= 0).all()


def test_equally_similar_rows_come_by_number(vectors: Floats) -> None:
    """Of more equal vectors than are searched for, the smallest numbers are found, wherever they lie."""
    twins = np.repeat(vectors[:1], 90, axis=0)
    built = compress(np.concatenate([vectors[:400], twins]))
    order = [int(row) * 7 % 491 for row in built.order]
    _, found = IvfIndex(built.codes, order).search(vectors[:1])
    # Row 0 is itself one of the 91 equal ones.
    equal = sorted(row * 7 % 491 for row in (0, *range(400, 490)))
    assert [order[row] for row in found[0]] == equal[:K_MAX]


def test_one_query_and_many_find_the_same(built: Built) -> None:
    """The neighbours of a query are bit for bit those it has among two hundred queries."""
    index, queries = IvfIndex(built.codes, range(ROWS)), clustered(200, 5)
    similarities, rows = index.search(queries)
    for i in (0, 77, 199):
        alone = IvfIndex(built.codes, range(ROWS)).search(queries[i : i + 1])
        assert (alone[0][0] == similarities[i]).all()
        assert (alone[1][0] == rows[i]).all()


def test_an_issue_never_votes_for_itself(few_are_many: None, vectors: Floats, tmp_path: Path) -> None:
    """An issue of a large bundle is left out by repository and number; in another repository it is another issue."""
    store = LocalStore(tmp_path)
    bundle = store.load(store.save(bundle_of(vectors)))
    assert bundle.codes is not None
    near = Neighbourhood(bundle.codes, bundle.rows.keys, bundle.rows.labels)
    mine, other = near.near([("o/r", 12), ("o/other", 12)], vectors[[11, 11]])
    assert other[0].number == 12
    assert [n.number for n in mine[:-1]] == [n.number for n in other[1:]]
    assert mine[-1].number != 12


def two_repositories(
    vectors: Floats, shared: tuple[str, ...] = (), active: Bundle | None = None, first: str = "o/r"
) -> Bundle:
    """Issues by turns of two repositories, in which every label but `kind/bug` is a word of its own repository."""
    n = len(vectors)
    keys = [(first if i % 2 else "o/s", i + 1) for i in range(n)]
    labels = [("kind/bug", "ours" if i % 2 else "theirs") for i in range(n)]
    manifest = replace(tiny(3).manifest, issues=n)
    rules = replace(tiny(3).rules, shared=shared)
    made = replace(tiny(3), manifest=manifest, vectors=vectors, rows=Rows(keys, labels), rules=rules)
    made = replace(made, prior=vectors.mean(axis=0))
    return indexed(made, active)


@pytest.fixture(params=["exact", "compressed"])
def size(request: pytest.FixtureRequest) -> str:
    """Which index 300 vectors get."""
    if request.param == "compressed":
        request.getfixturevalue("few_are_many")
    return str(request.param)


@pytest.fixture
def of_two(vectors: Floats, tmp_path: Path, size: str) -> Callable[[tuple[str, ...]], Neighbourhood]:
    """The neighbours in a bundle of two repositories, as loaded from a store, by the labels that are shared."""
    store = LocalStore(tmp_path)

    def opened(shared: tuple[str, ...]) -> Neighbourhood:
        bundle = store.load(store.save(two_repositories(vectors[:300], shared)))
        assert (bundle.codes is not None) is (size == "compressed")
        held = bundle.vectors if bundle.codes is None else bundle.codes
        return Neighbourhood(held, bundle.rows.keys, bundle.rows.labels, bundle.rules.shared)

    return opened


def test_own_labels_vote_within_their_repository_and_shared_ones_across(
    of_two: Callable[[tuple[str, ...]], Neighbourhood],
) -> None:
    """As loaded from a store: neighbours come from everywhere, words only as far as they mean something."""
    near = of_two(("kind/*",))
    queries = clustered(4, 11)
    for repo, word in (("o/r", "ours"), ("o/s", "theirs")):
        for found in near.near([(repo, 9_000 + i) for i in range(4)], queries):
            assert {n.repo for n in found} == {"o/r", "o/s"}
            assert all(n.labels == (("kind/bug", word) if n.repo == repo else ("kind/bug",)) for n in found)


def test_where_nothing_is_shared_neighbours_come_from_the_own_repository(
    of_two: Callable[[tuple[str, ...]], Neighbourhood], vectors: Floats, size: str
) -> None:
    """The same ones as from a bundle of that repository alone, in a batch of both, and never the issue itself."""
    near = of_two(())
    # Issues 12 and 13 of the bundle, an unknown one, and one of a repository that was not learnt from.
    keys = [("o/s", 13), ("o/r", 12), ("o/r", 9_000), ("o/new", 1)]
    queries = np.concatenate([vectors[[12, 11]], clustered(2, 12)])
    found = list(near.near(keys, queries))
    assert [{n.repo for n in each} for each in found] == [{"o/s"}, {"o/r"}, {"o/r"}, set()]
    assert [len(each) for each in found] == [K_MAX, K_MAX, K_MAX, 0]
    assert [key[1] in {n.number for n in each} for key, each in zip(keys, found, strict=True)] == [False] * 4
    alone = np.array([i for i in range(300) if i % 2 and i != 11])
    nearest = alone[np.argsort(-(vectors[alone] @ queries[1]))][:25] + 1
    if size == "exact":
        assert [n.number for n in found[1][:25]] == nearest.tolist()
    else:
        assert len({n.number for n in found[1][:25]} & {*nearest.tolist()}) >= 23


def test_a_small_repository_is_searched_whole(vectors: Floats) -> None:
    """One list for each, in the order of the numbers: all of its own are found, as near as the codes tell them."""
    owners = np.arange(ROWS) % 37
    built = compress(vectors, owners)
    assert built.codes.owners.tolist() == list(range(37))
    assert (owners[built.order] == np.repeat(np.arange(37), np.diff(built.codes.bounds))).all()
    query = clustered(1, 6)
    _, rows = IvfIndex(built.codes, range(ROWS)).search(query, owner=5)
    mine = np.flatnonzero(owners == 5)
    nearest = mine[np.argsort(-(vectors[mine] @ query[0]))]
    found = built.order[rows[0]]
    assert (owners[found] == 5).all()
    assert len({*found[:25].tolist()} & {*nearest[:25].tolist()}) >= 24
    assert (IvfIndex(built.codes, range(ROWS)).search(query, owner=99)[1] == -1).all()


def test_a_large_repository_has_lists_of_its_own(vectors: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a small one it is searched list by list, and what is found was measured within each repository."""
    monkeypatch.setattr(making, "EXACT_ROWS", 100)
    owners = np.where(np.arange(ROWS) % 50 == 0, 1, 0)
    built = compress(vectors, owners)
    assert built.codes.owners.tolist() == [0] * int((built.codes.owners == 0).sum()) + [1]
    assert 1 < built.codes.probes < len(built.codes.owners)
    queries = clustered(200, 13)
    _, found = IvfIndex(built.codes, range(ROWS)).search(queries, owner=0)
    mine = np.flatnonzero(owners == 0)
    _, truth = Index(vectors[mine], range(len(mine))).search(queries)
    shares = [len({*built.order[a[:25]]} & {*mine[b[:25]]}) / 25 for a, b in zip(found, truth, strict=True)]
    assert np.mean(shares) == pytest.approx(built.recall, abs=0.02)


def test_an_index_by_repository_is_brought_up_to_date_while_they_stay_the_same(
    few_are_many: None, vectors: Floats, tmp_path: Path
) -> None:
    """Little changes: its lists stay. Another repository, or lists for all: it is drawn anew."""
    store = LocalStore(tmp_path)
    first = store.load(store.save(two_repositories(vectors[:300])))
    again = two_repositories(vectors[:310], active=first)
    assert again.manifest.index is not None and first.codes is not None and again.codes is not None
    assert again.manifest.index.changed == 10
    assert (again.codes.centroids == first.codes.centroids).all()
    for other in (
        two_repositories(vectors[:310], active=first, first="o/a"),
        two_repositories(vectors[:310], ("*",), active=first),
    ):
        assert other.manifest.index is not None
        assert other.manifest.index.changed == 0


def test_lists_that_the_rules_do_not_search_are_refused(few_are_many: None, vectors: Floats) -> None:
    """Lists of all repositories cannot tell one's own issues, and the other way round."""
    for shared in ((), ("*",)):
        made = two_repositories(vectors[:300], shared)
        with pytest.raises(BundleError, match="not those that the rules search"):
            replace(made, rules=replace(made.rules, shared=("kind/*",) if not shared else ()))


def test_exact_search_within_a_mask_agrees_with_a_search_of_those_rows(vectors: Floats) -> None:
    """Within a mask, the exact index finds what an index of those rows alone finds, by their own numbers."""
    mask = np.arange(ROWS) % 7 == 0
    similarities, rows = Index(vectors, range(ROWS)).search(
        vectors[:4], without=[0, 1, None, None], within=mask
    )
    alone = Index(vectors[mask], range(int(mask.sum()))).search(vectors[:4], without=[0, None, None, None])
    assert (similarities == alone[0]).all()
    assert (rows == np.flatnonzero(mask)[alone[1]]).all()


def test_an_index_that_finds_too_little_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the most lists that a search may read do not find the floor, there is no index."""
    monkeypatch.setattr(judging, "MOST_PROBES", 1)
    rng = np.random.default_rng(0)
    scattered = rng.normal(size=(2000, WIDE)).astype(np.float32)
    with pytest.raises(BundleError) as refused:
        compress(scattered / np.linalg.norm(scattered, axis=1, keepdims=True))
    assert refused.value.what.startswith("the compressed index finds ")
    assert refused.value.what.endswith("% of the nearest 25, and 95% is the least")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(built: Built, vectors: Floats, bad: float) -> None:
    """Neither what is indexed nor a query may hold what cannot be compared."""
    spoilt = vectors.copy()
    spoilt[5, 1] = bad
    with pytest.raises(BundleError):
        compress(spoilt)
    with pytest.raises(BundleError) as refused:
        IvfIndex(built.codes, range(ROWS)).search(spoilt[4:6])
    assert refused.value.what == "a query vector is not finite"


def test_a_large_bundle_is_read_back_with_the_same_neighbours(
    few_are_many: None, vectors: Floats, tmp_path: Path
) -> None:
    """Saved, mapped and searched, a large bundle gives bit for bit the neighbours that it gave when learnt."""
    made, store = bundle_of(vectors), LocalStore(tmp_path)
    again = store.load(store.save(made))
    assert made.codes is not None
    assert again.codes is not None
    again.verify()
    keys = [("o/r", 9_000 + i) for i in range(20)]
    before, after = (
        list(Neighbourhood(b.codes, b.rows.keys, b.rows.labels).near(keys, clustered(20, 7)))
        for b in (made, again)
        if b.codes is not None
    )
    assert before == after
    assert all((isinstance(n, Neighbour) and n.labels == ("bug",)) or n.number % 3 != 1 for n in before[0])
    assert again.manifest.format == FORMAT_COMPRESSED
    assert again.manifest.index == made.manifest.index
    assert to_files(again) == to_files(made)


def test_a_large_bundle_travels_to_the_workers_of_a_cluster(
    few_are_many: None, vectors: Floats, tmp_path: Path
) -> None:
    """Pickled as it was loaded, with all that a file holds for it."""
    store = LocalStore(tmp_path)
    made = store.load(store.save(bundle_of(vectors)))
    assert to_files(pickle.loads(pickle.dumps(made))) == to_files(made)


def test_a_large_bundle_is_kept_in_the_repository(
    few_are_many: None, vectors: Floats, github: FakeGitHub
) -> None:
    """The store in the repository holds large bundles like others, every hash checked when loaded."""
    store, made = git_store(github), bundle_of(vectors[:300])
    name = store.save(made)
    store.set_role("active", name)
    assert to_files(git_store(github).load(name)) == to_files(made)


@pytest.fixture
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of more than 3,000 bytes are large."""
    monkeypatch.setattr("triage.github.git_store.PART", 3_000)
    monkeypatch.setattr("triage.github.git_store.HEAD", 256)


def of_many(vectors: Floats) -> Bundle:
    """Issues of ten repositories by turns, of which none says anything of another's."""
    n = len(vectors)
    made = replace(
        tiny(3),
        manifest=replace(tiny(3).manifest, issues=n),
        vectors=vectors,
        prior=vectors.mean(axis=0),
        rows=Rows([(f"o/r{i % 10}", i + 1) for i in range(n)], [("bug", f"of {i % 10}") for i in range(n)]),
        rules=replace(tiny(3).rules, shared=()),
    )
    return indexed(made)


def near_in(bundle: Bundle, repo: str) -> list[tuple[Neighbour, ...]]:
    assert bundle.codes is not None
    place = Neighbourhood(bundle.codes, bundle.rows.keys, bundle.rows.labels, bundle.rules.shared)
    return list(place.near([(repo, 9_000 + i) for i in range(5)], clustered(5, 21)))


def test_no_more_is_fetched_than_issues_of_one_repository_are_compared_with(
    few_are_many: None, in_small_parts: None, vectors: Floats, github: FakeGitHub, demo: Repository
) -> None:
    """Where nothing is shared: the same neighbours from a few of the parts, and none for a repository unknown."""
    store, made = git_store(github), of_many(vectors)
    name = store.save(made)
    store.set_role("active", name)
    places = {demo.git.add_blob(data): path for path, data in demo.git.files(ACTIVE).items()}
    whole = git_store(github).load(name)
    for repo in ("o/r0", "o/r7", "o/r9"):
        github.requests.clear()
        part = git_store(github).load(name, RepositoryIds(repo, ""))
        fetched = [places.get(request.path.rpartition("/")[2], "") for request in github.requests]
        assert sum(path.startswith("index-codes.npy.") for path in places.values()) == 17
        assert 2 <= sum(path.startswith("index-codes.npy.") for path in fetched) <= 4
        assert (part.manifest.issues, part.manifest.sources) == (ROWS / 10, whole.manifest.sources)
        assert near_in(part, repo) == near_in(whole, repo)
    stranger = git_store(github).load(name, RepositoryIds("o/other", ""))
    assert near_in(stranger, "o/other") == [()] * 5


def test_a_part_that_was_changed_is_refused(
    few_are_many: None, in_small_parts: None, vectors: Floats, github: FakeGitHub, demo: Repository
) -> None:
    """By its hash, as soon as the bundle is loaded; who needs another part is not troubled."""
    store = git_store(github)
    name = store.save(of_many(vectors))
    store.set_role("active", name)
    part = demo.git.files(ACTIVE)["index-codes.npy.0001"]
    demo.git.blobs[demo.git.add_blob(part)] = bytes(len(part))
    with pytest.raises(UnusableAnswer, match="has another content than blob"):
        git_store(github).load(name, RepositoryIds("o/r0", ""))
    assert near_in(git_store(github).load(name, RepositoryIds("o/r9", "")), "o/r9")


def test_only_the_lists_that_are_searched_are_read(
    few_are_many: None, vectors: Floats, tmp_path: Path
) -> None:
    """A list that was changed is refused by name when a search comes to it, and before that by `verify` alone."""
    store = LocalStore(tmp_path)
    name = store.save(bundle_of(vectors))
    codes = store.load(name).codes
    assert codes is not None
    query = clustered(1, 8)
    near = np.argsort(-(codes.centroids @ query[0]))
    filled = np.flatnonzero(np.diff(codes.bounds) > 0)
    far = next(int(at) for at in near[::-1] if at in filled)
    path = tmp_path / "bundles" / name / CODES
    spoil(path, path.stat().st_size - codes.codes.size + int(codes.bounds[far]) * WIDE)
    spoilt = store.load(name)
    assert spoilt.codes is not None
    found = IvfIndex(spoilt.codes, range(ROWS)).search(query)[1]
    assert (found == IvfIndex(codes, range(ROWS)).search(query)[1]).all()
    words = f"list {far} of the compressed index was changed: its hash is another"
    with pytest.raises(BundleError) as refused:
        spoilt.verify()
    assert refused.value.what == words
    with pytest.raises(BundleError) as refused:
        IvfIndex(spoilt.codes, range(ROWS)).search(codes.centroids[far][None, :])
    assert refused.value.what == words


@pytest.mark.parametrize("file", ["index-rows.npy", "index-labels.npy", "index-offsets.npy"])
def test_only_what_is_known_of_neighbours_is_read(
    few_are_many: None, vectors: Floats, tmp_path: Path, file: str
) -> None:
    """What is known of the issues of a list that was changed is refused when it is read, and by `verify`."""
    store = LocalStore(tmp_path)
    name = store.save(bundle_of(vectors))

    def near(bundle: Bundle, query: Floats) -> list[tuple[Neighbour, ...]]:
        assert bundle.codes is not None
        return list(Neighbourhood(bundle.codes, bundle.rows.keys, bundle.rows.labels).near([NEW], query))

    whole = store.load(name)
    assert whole.codes is not None
    last = int(np.flatnonzero(np.diff(whole.codes.bounds))[-1])
    there, elsewhere = whole.codes.centroids[last][None, :], -whole.codes.centroids[last][None, :]
    found = near(whole, elsewhere)
    spoil(tmp_path / "bundles" / name / file, -1)
    assert near(store.load(name), elsewhere) == found
    words = f"the keys and labels of list {last} were changed: their hash is another"
    for asked in (lambda: near(store.load(name), there), store.load(name).verify):
        with pytest.raises(BundleError) as refused:
            asked()
        assert refused.value.what == words


@pytest.mark.parametrize(
    "change",
    [{"rows": np.int32}, {"labels": np.int64}, {"offsets": np.float64}, {"hashes": -1}, {"offsets": -1}],
)
def test_tables_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    """Arrays of another kind or length than the index needs are none of its own."""
    bounds = np.array([0, 2, 3])
    known = LazyRows.hashed(np.zeros((3, 2), np.int64), np.zeros(3, np.int32), np.arange(4), bounds)
    assert [known.labels_of(row) for row in range(3)] == [[0], [0], [0]]
    ((name, how),) = change.items()
    array = getattr(known, name)
    with pytest.raises(BundleError):
        replace(known, **{name: array[:how] if isinstance(how, int) else array.astype(how)})


def test_a_large_bundle_cut_short_is_refused_when_loaded(
    few_are_many: None, vectors: Floats, tmp_path: Path
) -> None:
    """Codes that are fewer than their header says are no array."""
    store = LocalStore(tmp_path)
    name = store.save(bundle_of(vectors))
    path = tmp_path / "bundles" / name / CODES
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError) as refused:
        store.load(name)
    assert f"{CODES}: not an array (" in refused.value.what


def test_a_manifest_that_admits_too_little_is_refused(
    few_are_many: None, vectors: Floats, tmp_path: Path
) -> None:
    """A large bundle whose measured recall is below the floor is not loaded, though its hashes are right."""
    made = bundle_of(vectors)
    assert made.manifest.index is not None
    poor = replace(made.manifest, index=replace(made.manifest.index, recall=0.5))
    store = LocalStore(tmp_path)
    name = store.save(replace(made, manifest=poor))
    with pytest.raises(BundleError) as refused:
        store.load(name)
    assert refused.value.what.endswith(
        f"{name}: the compressed index finds 50.0% of the nearest 25, and 95% is the least"
    )


def test_a_small_bundle_says_nothing_of_all_this() -> None:
    """The files of a bundle whose vectors are compared one by one are what they were before there was another kind."""
    files = to_files(tiny(4))
    manifest, rules = json.loads(files[MANIFEST]), json.loads(files["rules.json"])["rules"]
    assert (manifest["format"], "index" in manifest, "shared" in rules) == (FORMAT, False, False)
    assert [name for name in files if name.startswith("index-")] == []
    shared = replace(tiny(4), rules=Rules(shared=("kind/*",)))
    assert json.loads(to_files(shared)["rules.json"])["rules"]["shared"] == ["kind/*"]


def test_a_large_index_is_brought_up_to_date(few_are_many: None, vectors: Floats, tmp_path: Path) -> None:
    """Some issues gone, some new, one edited: the lists stay, and neighbours are those of the new rows."""
    store = LocalStore(tmp_path)
    old = store.load(store.save(bundle_of(vectors)))
    now = np.concatenate([vectors[:2900], clustered(200, 9)])
    now[17] = clustered(1, 10)
    new = bundle_of(now, after=old)
    assert old.codes is not None
    assert new.codes is not None
    assert new.manifest.index is not None
    # 2901 to 3000 are other issues under their old numbers, 3001 to 3100 are new, 18 was edited.
    gone, came = 101, 201
    assert (new.manifest.index.rows, new.manifest.index.changed) == (ROWS, gone + came)
    assert (new.codes.centroids == old.codes.centroids).all()
    edited = [key for key in new.rows.keys if key[1] == 18]
    assert edited == [("o/r", 18)]
    near = Neighbourhood(new.codes, new.rows.keys, new.rows.labels)
    first = next(near.near([("o/r", 9_999)], now[17:18]))[0]
    assert (first.number, first.similarity) == (18, pytest.approx(1, abs=0.02))
    assert new.manifest.index.recall >= judging.FLOOR


def test_too_many_changes_draw_the_lists_anew(built: Built, vectors: Floats) -> None:
    """When more than a fifth of the rows have come or gone in all, the old lists are not used any more."""
    place = np.empty(ROWS, dtype=np.int64)
    place[built.order] = np.arange(ROWS)
    kept = place[:2500]
    found = updated(built.codes, kept, vectors[:2500], ROWS, 0)
    assert found is not None
    assert found[1] == 500
    assert updated(built.codes, kept, vectors[:2500], ROWS, 101) is None


def test_codes_that_do_not_fit_are_refused(built: Built) -> None:
    """Parts of a compressed index that contradict each other make none."""
    codes = built.codes
    for change in (
        {"bounds": codes.bounds[:-1]},
        {"bounds": codes.bounds[::-1].copy()},
        {"probes": len(codes.centroids) + 1},
        {"hashes": codes.hashes[:, :4]},
        {"ranges": codes.ranges * np.nan},
        {"codes": codes.codes[:, :4]},
    ):
        with pytest.raises(BundleError):
            replace(codes, **change)


def test_hashes_are_those_of_the_lists(built: Built) -> None:
    """Each hash is the sha256 of the bytes of one list."""
    codes: IvfCodes = built.codes
    at = int(np.argmax(np.diff(codes.bounds)))
    held = codes.codes[codes.bounds[at] : codes.bounds[at + 1]]
    assert codes.hashes[at].tobytes() == hashlib.sha256(held.tobytes()).digest()
