"""The store in the repository itself, against the fake GitHub, with real bundles in real git objects."""

from __future__ import annotations

import dataclasses

import pytest

from tests.fake_github.faults import Hook
from tests.fake_github.fixtures import BOT_TOKEN
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.live import STORAGE, Step
from tests.tracking import tracker_of
from triage.bundle.bundle import Bundle, to_files
from triage.bundle.store import KEPT
from triage.errors import BundleError, LostRace
from triage.github.git_store import GitStore

ACTIVE = "refs/triage/active"
STORAGE_LABELS = ["bug", "area: storage"]


@pytest.fixture
def store(github: FakeGitHub, demo: Repository) -> GitStore:
    """A store in `octo/demo`, which has a commit on its default branch."""
    demo.put_file("README.md", "# demo")
    return GitStore(tracker_of(github))


def dated(bundle: Bundle, day: int) -> Bundle:
    """The same bundle, as if it had been learnt on that day."""
    manifest = dataclasses.replace(bundle.manifest, created_at=f"2026-01-{day:02d}T00:00:00Z")
    return dataclasses.replace(bundle, manifest=manifest)


def activate(store: GitStore, bundle: Bundle) -> str:
    """Save a bundle and make it active."""
    name = store.save(bundle)
    store.set_role("active", name)
    return name


def spoil(repository: Repository) -> None:
    """Put one other byte into the vectors of the active bundle, the last in the pack, as a commit on top."""
    git = repository.git
    commit = git.commits[git.refs[ACTIVE]]
    entries = dict(git.trees[commit.tree])
    entry = entries["pack"]
    data = git.blobs[entry.sha]
    entries["pack"] = dataclasses.replace(entry, sha=git.add_blob(data[:-1] + bytes([data[-1] ^ 1])))
    git.refs[ACTIVE] = git.add_commit(dataclasses.replace(commit, tree=git.add_tree(entries)))


def test_an_empty_repository_holds_no_bundle(github: FakeGitHub, demo: Repository) -> None:
    """Not even a commit is there."""
    empty = GitStore(tracker_of(github))
    assert (empty.role("active"), empty.role("staged"), empty.names()) == (None, None, [])


def test_a_bundle_comes_back_as_it_was_saved(github: FakeGitHub, store: GitStore, bundle: Bundle) -> None:
    """Byte by byte, read by another process."""
    name = activate(store, bundle)
    other = GitStore(tracker_of(github))
    assert (other.role("active"), other.names()) == (name, [name])
    assert to_files(other.load(name)) == to_files(bundle)


def test_a_saved_bundle_is_unknown_until_it_has_a_role(
    store: GitStore, demo: Repository, bundle: Bundle
) -> None:
    """A run that dies before leaves nothing that anybody would find."""
    store.save(bundle)
    assert (list(demo.git.refs), store.role("active")) == (["refs/heads/main"], None)


def test_a_bundle_is_a_commit_that_says_what_it_is(store: GitStore, demo: Repository, bundle: Bundle) -> None:
    """Its name first, then its manifest; branches and tags are as they were."""
    name = activate(store, bundle)
    commit = demo.git.commits[demo.git.refs[ACTIVE]]
    assert commit.message.splitlines()[0] == f"triage bundle {name}"
    assert '"encoder"' in commit.message
    assert set(demo.git.refs) == {"refs/heads/main", ACTIVE}


def test_what_did_not_change_is_not_uploaded_again(
    github: FakeGitHub, store: GitStore, bundle: Bundle
) -> None:
    """Of the second bundle only the manifest is new."""
    activate(store, dated(bundle, 1))
    github.requests.clear()
    activate(store, dated(bundle, 2))
    assert github.log.count("POST /repos/octo/demo/git/blobs") == 1


def test_the_bundles_before_are_the_history_and_the_oldest_are_forgotten(
    github: FakeGitHub, store: GitStore, demo: Repository, bundle: Bundle
) -> None:
    """The last ten are kept."""
    names = [activate(store, dated(bundle, day)) for day in range(1, KEPT + 3)]
    assert GitStore(tracker_of(github)).names() == names[: -KEPT - 1 : -1]
    assert len(demo.git.history(demo.git.refs[ACTIVE])) == KEPT
    assert store.load(names[-KEPT]).manifest.created_at == "2026-01-03T00:00:00Z"


def test_an_older_bundle_becomes_active_on_top(store: GitStore, demo: Repository, bundle: Bundle) -> None:
    """History only grows, so that nobody's work is lost."""
    first, second = activate(store, dated(bundle, 1)), activate(store, dated(bundle, 2))
    store.set_role("active", first)
    assert (store.role("active"), store.names()) == (first, [second, first])
    assert len(demo.git.history(demo.git.refs[ACTIVE])) == 3
    store.set_role("active", first)
    assert len(demo.git.history(demo.git.refs[ACTIVE])) == 3


def test_a_candidate_is_staged_beside_the_active_bundle(store: GitStore, bundle: Bundle) -> None:
    """And leaves when its role is taken away."""
    first = activate(store, dated(bundle, 1))
    second = store.save(dated(bundle, 2))
    store.set_role("staged", second)
    assert (store.role("active"), store.role("staged")) == (first, second)
    store.set_role("staged", None)
    store.set_role("staged", None)
    assert (store.role("active"), store.role("staged")) == (first, None)


def test_the_second_of_two_runs_that_publish_at_once_is_told(
    github: FakeGitHub, store: GitStore, bundle: Bundle
) -> None:
    """The ref moves only forward, and the first run's bundle stays."""
    activate(store, dated(bundle, 1))
    mine, rival = store.save(dated(bundle, 2)), GitStore(tracker_of(github))
    hook = Hook(lambda _: activate(rival, dated(bundle, 3)))
    github.faults.add(hook, method="PATCH", path="git/refs/triage/active")
    with pytest.raises(LostRace):
        store.set_role("active", mine)
    assert store.load(store.role("active") or "").manifest.created_at == "2026-01-03T00:00:00Z"


def test_where_the_host_refuses_such_refs_a_branch_serves(
    store: GitStore, demo: Repository, bundle: Bundle
) -> None:
    """And is found again."""
    demo.refused_refs = ("refs/triage/",)
    name = activate(store, bundle)
    assert "refs/heads/triage/active" in demo.git.refs
    assert (store.role("active"), store.names()) == (name, [name])
    newer = activate(store, dated(bundle, 28))
    assert store.role("active") == newer


@pytest.mark.parametrize(
    ("publishers", "believed"), [(("*",), True), (("github-actions*",), True), (("release-bot",), False)]
)
def test_only_bundles_of_named_publishers_are_believed(
    github: FakeGitHub, store: GitStore, bundle: Bundle, publishers: tuple[str, ...], believed: bool
) -> None:
    """By the login of the commit's author."""
    name = activate(store, bundle)
    strict = GitStore(tracker_of(github), publishers)
    if believed:
        assert strict.load(name).manifest == bundle.manifest
        return
    with pytest.raises(BundleError) as caught:
        strict.load(name)
    assert f"was published by {ACTIONS_BOT}" in caught.value.what


def test_one_changed_byte_is_noticed(
    github: FakeGitHub, store: GitStore, demo: Repository, bundle: Bundle
) -> None:
    """Whoever can write to the repository cannot change a bundle unseen."""
    name = activate(store, bundle)
    spoil(demo)
    with pytest.raises(BundleError, match=f"^bundle {name} of octo/demo: vectors.npy"):
        GitStore(tracker_of(github)).load(name)


def test_a_bundle_that_is_not_there_is_named(store: GitStore) -> None:
    """With what to do."""
    with pytest.raises(BundleError) as caught:
        store.load("20260101T000000Z-0123456789")
    assert caught.value.what == "octo/demo has no bundle '20260101T000000Z-0123456789'"


def test_no_other_role_can_be_given(store: GitStore) -> None:
    """A mistake of the program, not of its user."""
    with pytest.raises(ValueError, match="best"):
        store.set_role("best", None)


def test_an_issue_is_labelled_by_the_bundle_in_its_own_repository(step: Step, bundle: Bundle) -> None:
    """With the permission to read contents alone; nothing but the label is written."""
    step.repository.put_file("README.md", "# ferry")
    activate(GitStore(tracker_of(step.github, repo=step.repository.full_name)), bundle)
    step.github.requests.clear()
    step.github.world.add_token(BOT_TOKEN, ACTIONS_BOT, issues="write", contents="read")
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.run("label", f"--store=github:{step.repository.full_name}") == 0
    assert issue.label_names == STORAGE_LABELS
    assert step.writes == ["mutation addLabelsToLabelable"]


@pytest.mark.parametrize("damage", ["a byte", "the title"])
def test_a_damaged_bundle_in_the_repository_gives_way_to_the_one_before(
    step: Step, bundle: Bundle, damage: str
) -> None:
    """A warning names both."""
    repository = step.repository
    repository.put_file("README.md", "# ferry")
    store = GitStore(tracker_of(step.github, repo=repository.full_name))
    first = activate(store, dated(bundle, 1))
    activate(store, dated(bundle, 2))
    if damage == "a byte":
        spoil(repository)
    else:
        git = repository.git
        commit = dataclasses.replace(
            git.commits[git.refs[ACTIVE]], message="oops", parents=(git.refs[ACTIVE],)
        )
        git.refs[ACTIVE] = git.add_commit(commit)
        first = "20260102"
    issue = repository.issues[STORAGE]
    step.happen(issue)
    assert step.run("label", f"--store=github:{repository.full_name}") == 0
    assert issue.label_names == STORAGE_LABELS
    assert step.out.startswith("::warning::")
    assert f"continuing with the previous bundle, {first}" in step.out
